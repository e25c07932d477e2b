"""P202: a loss term has too little of the gradient to be learned at all."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from probes import _series
from probes._progress import metric_moved
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_OF_EQUAL = 0.1
_STAYS = 0.1
_FALLS = 0.25
_STEADY = 0.3
_FOLLOWS = 0.8
_TURNS = 0.2
_FIRST = 5


class StarvedHead(Probe):
    """A loss term has too little of the gradient to be learned at all.

    What it detects:
        One of several loss terms that stays at its initial value while others fall, although its
        gradient on the parameters that it shares with them points the same way in batch after
        batch: it could be learned, but has too small a share of what moves the parameters.

    Why it harms:
        The head behind it predicts what it predicted before the training, and what the run is
        judged by does not improve. Nothing crashes, and the printed total looks balanced, in
        particular where each loss is divided by its own running mean: that makes the values equal
        and leaves the gradients as far apart as the ranges of the targets are.

    Rule:
        In the median over the second half of the run the term has less than a tenth of an equal
        share of the summed gradient norms; its value in the last fifth of the run lies within a
        tenth of the first five recorded ones, while another term fell by a quarter or more; and
        its gradient has a cosine of at least 0.3 with the one at the probed step before. A term
        at its noise floor is flat, too, but its gradients point anywhere. A penalty on the weights
        is left out: it is a smooth curve where the terms that read the batches jump. That alone is
        an observation (severity 0.3). It is an alarm when the metric went less than a tenth of the
        way to its best possible value with more than a fifth still to go, or follows this term
        (correlation 0.8 or more) and went less than half of the way. Severity then rises from 0.5
        at a tenth of an equal share to 1 at none. P201 names the term that has too much, where
        the total loss falls without the metric; this one names a term that never began to learn,
        whatever the total does and whoever has the rest. Both can be true of one run.

    Example:
        bad: four heads, each loss over its running mean, weights 0.1, 0.7, 0.1, 0.1; pointers
        in [0, 1] get 80 % of the gradient, a countdown in [-20, 20] gets 0.2 %
        good: the same with a weight of 10 for the countdown

    Source:
        Chen et al. 2018, GradNorm; Liu et al. 2021, Towards Impartial Multi-task Learning; the
        investigation of a reduction bias (a countdown loss that stayed at 15.9 of 16).
    """

    code = "P202"
    name = "starved-head"
    signals = (
        "term.share", "term.value", "term.weight", "term.grad", "term.elements", "term.steadiness",
        "term.cosine",
    )  # fmt: skip

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        shares = {
            where: share
            for where in trace.places("term.share")
            if (share := _middle(trace, where, "share")) is not None and share > 0
        }
        starved = [where for where in shares if _starves(trace, where, shares)]
        found = [self._symptom(trace, metric, where, shares) for where in starved]
        yield from sorted(found, key=lambda symptom: -symptom.severity)

    def _symptom(
        self, trace: Trace, metric: Objective | None, where: str, shares: dict[str, float]
    ) -> Symptom:
        strongest = max(shares, key=lambda other: shares[other])
        equal = 1 / len(shares)
        severity = 0.3
        if metric is not None and _harms(trace, metric, where):
            severity = ALARM + 0.5 * (1 - shares[where] / (_OF_EQUAL * equal))
        evidence = _evidence(trace, where, strongest) | {"equal_share": equal}
        curve = _curve(trace, where)
        evidence["starved_start"] = curve.values[0]
        message = (
            f"{where} (value {evidence['starved_value']:.3g}, at first "
            f"{evidence['starved_start']:.3g}; weight {evidence['starved_weight']:.3g}) has "
            f"{shares[where]:.2%} of the gradient, {strongest} {shares[strongest]:.1%}"
        )
        if "starved_elements" in evidence and "dominant_elements" in evidence:
            message += (
                f"; its mean is over {evidence['starved_elements']:.0f} elements, that of "
                f"{strongest} over {evidence['dominant_elements']:.0f}"
            )
        if metric is not None and severity >= ALARM:
            reported = metric.series(trace).finite.values
            evidence["metric_start"], evidence["metric_end"] = reported[0], metric.final(trace)
            message += f"; {metric.name} went from {reported[0]:.3g} to {metric.final(trace):.3g}"
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=where,
            source=trace.terms[where].source if where in trace.terms else None,
            step=0,
            evidence=evidence,
            message=message,
        )


def _curve(trace: Trace, where: str) -> Series:
    return trace.signal("train", where, "term.value").finite


def _middle(trace: Trace, where: str, name: str) -> float | None:
    return _series.second_half(trace.signal("train", where, f"term.{name}"), trace.steps)


def _starves(trace: Trace, where: str, shares: dict[str, float]) -> bool:
    if shares[where] >= _OF_EQUAL / len(shares):
        return False
    others = [other for other in shares if other != where]
    if abs(_drop(trace, where)) >= _STAYS:
        return False
    if max((_drop(trace, other) for other in others), default=0.0) < _FALLS:
        return False
    steady = _middle(trace, where, "steadiness")
    return steady is not None and steady >= _STEADY and not _is_penalty(trace, where, others)


def _drop(trace: Trace, where: str) -> float:
    """By which share of its initial value a term has fallen at the end."""
    curve = _curve(trace, where)
    late = _series.window(curve, trace.steps, 0.8, 1.0)
    first = statistics.median(curve.values[:_FIRST]) if late else 0.0
    return (first - statistics.median(late)) / abs(first) if first else 0.0


def _is_penalty(trace: Trace, where: str, others: list[str]) -> bool:
    """Whether the term is a smooth curve where another one jumps from batch to batch."""
    jumps = max((_turns(_curve(trace, other)) for other in others), default=0.0)
    return _turns(_curve(trace, where)) < _TURNS <= jumps


def _turns(curve: Series) -> float:
    """At which share of its inner points a curve turns round: 2/3 for noise, 0 if monotonic."""
    values = curve.values
    moves = [b - a for a, b in zip(values, values[1:], strict=False)]
    turns = [a * b < 0 for a, b in zip(moves, moves[1:], strict=False)]
    return sum(turns) / len(turns) if turns else 0.0


def _harms(trace: Trace, metric: Objective, where: str) -> bool:
    if metric_moved(trace, metric, 0.1) is False:
        return True
    alike = abs(_series.correlation(metric.series(trace), _curve(trace, where)))
    return metric_moved(trace, metric, 0.5) is False and alike >= _FOLLOWS


def _evidence(trace: Trace, starved: str, dominant: str) -> dict[str, float]:
    """What tells the two terms apart, and what their means and weights do to one element."""
    found: dict[str, float] = {}
    for role, where in (("starved", starved), ("dominant", dominant)):
        for key in ("value", "weight", "grad", "share", "elements"):
            if (value := _middle(trace, where, key)) is not None:
                found[f"{role}_{key}"] = value
    pair = trace.signal("train", f"{starved}|{dominant}", "term.cosine") or trace.signal(
        "train", f"{dominant}|{starved}", "term.cosine"
    )
    found["cosine"] = _series.second_half(pair, trace.steps) or 0.0
    found["steadiness"] = _middle(trace, starved, "steadiness") or 0.0
    if found.get("dominant_grad") and "starved_grad" in found:
        found["gradient_ratio"] = found["starved_grad"] / found["dominant_grad"]
    if found.get("starved_elements") and found.get("dominant_elements"):
        # A mean over N elements gives each of them 1/N; their sum is the whole again.
        found["element_ratio"] = found["dominant_elements"] / found["starved_elements"]
    return found
