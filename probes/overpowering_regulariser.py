"""P309: a penalty in the loss has its way, and nothing is learned from the data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from probes import _harm, _knowledge, _series, gradient_conflict
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_WON = 0.1
_STRONGER = 0.5
_AS_HALF = 1 / 3
_OPPOSED = -0.8
_NOTHING = 0.9
_FEWEST_POINTS = 5
_COMPARED = ("prediction.loss", "target.unexplained")
_COMPARE_LABELS = (
    "cross_entropy", "nll_loss", "binary_cross_entropy", "mse_loss", "l1_loss", "huber_loss",
    "margin", "triplet", "ctc_loss", "cosine_embedding_loss", "poisson", "gaussian_nll",
)  # fmt: skip
"""In the names of the functions that hold predictions against targets: no regularisers."""


class OverpoweringRegulariser(Probe):
    """A penalty in the loss has its way, and nothing is learned from the data.

    What it detects:
        A term that asks for small weights, small or sparse activations, much entropy, and so on,
        at a weight that lets it, and not the data, decide where the parameters go. (P305 is about
        the decay that the optimizer has.)

    Why it harms:
        The penalty is at its best where the model says the same of every input.

    Rule:
        Of a loss with several terms, one that no function of torch computes from predictions and
        targets either fell to a tenth of its first value within the first half of the run and
        stayed there, with half of the gradient on the shared parameters or more on its way down
        (median); or pulls against the others with a cosine of -0.8 or less and half as much
        gradient as they or more, in the median over the second half. And nothing is learned: the
        losses with targets, where there are any, are at nine tenths or more of what a constant
        reaches, and a metric whose best value is known went less than a tenth of its way, with
        more than a fifth left. A penalty that serves its end falls, too, but the others are
        learned beside it. Terms that pull against each other are left to P206. Severity rises from
        0.5 with the term's share of the gradient.

    Example:
        bad: ``loss = ce + 0.1 * sum(p.pow(2).sum() for p in model.parameters())``
        good: a factor of 1e-5 to 1e-3, or ``weight_decay`` of an AdamW

    Source:
        Goodfellow et al. 2016, Deep Learning, chapter 7.1: with a strong penalty the weights go
        to zero whatever the data; Krogh and Hertz 1991, A Simple Weight Decay Can Improve
        Generalization.
    """

    code = "P309"
    name = "overpowering-regulariser"
    signals = ("term.contribution", "term.share", "term.cosine", "loss.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        if not _nothing_learned(trace, metric):
            return
        conflict = gradient_conflict.GradientConflict().read(trace, metric)
        others = {symptom.where for symptom in conflict if symptom.alarming}  # P206
        found = [
            symptom
            for where in trace.places("term.contribution")
            if where not in others
            and not _compares(trace, where)
            and (symptom := self._look(trace, where)) is not None
        ]
        yield from sorted(found, key=lambda symptom: -symptom.severity)

    def _look(self, trace: Trace, where: str) -> Symptom | None:
        curve = trace.signal("train", where, "term.contribution").finite
        shares = trace.signal("train", where, "term.share").finite
        if len(curve) < _FEWEST_POINTS or not shares:
            return None
        won = _won(curve, trace.steps)
        if won is not None:
            share = _median([value for step, value in shares if step <= won])
            told = f"fell to {_WON:.0%} of its first value by step {won}"
        elif _opposes(trace, where):
            share = _series.second_half(shares, trace.steps) or 0.0
            told = "is held in balance by all the others"
        else:
            return None
        if share < (_STRONGER if won is not None else _AS_HALF):
            return None
        late = _series.second_half(curve, trace.steps) or 0.0
        return Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.5 * min(1.0, share),
            where=where,
            source=trace.terms[where].source if where in trace.terms else None,
            step=won or 0,
            evidence={"share": share, "first": curve.values[0], "late": late},
            message=(
                f"the regulariser {where} has {share:.0%} of the gradient and {told}, while "
                "nothing is learned from the data"
            ),
        )


def _nothing_learned(trace: Trace, metric: Objective | None) -> bool:
    unknown = _knowledge.ignorance(trace)
    nothing = _knowledge.knows_nothing(trace) or (unknown is not None and unknown >= _NOTHING)
    if metric is None or not metric.bounded:
        return nothing
    # A first report may come when all there is to learn has been learned: that is no standstill.
    return (nothing or unknown is None) and _harm.got_nowhere(trace, metric, math.inf)


def _compares(trace: Trace, where: str) -> bool:
    """Whether the term is computed from predictions and targets, as far as that is known."""
    info = trace.terms.get(where)
    if info is None:
        return False
    lines = {line for signal in _COMPARED for line in trace.places(signal)}
    return info.source in lines or any(name in (info.operation or "") for name in _COMPARE_LABELS)


def _won(curve: Series, steps: int) -> int | None:
    """The step by which a term fell to a tenth for good; None if not in the first half."""
    first = abs(curve.values[0])
    high = [step for step, value in curve if abs(value) > _WON * first]
    if first == 0 or not high or high[-1] >= steps / 2 or high[-1] == curve.steps[-1]:
        return None
    return next(step for step in curve.steps if step > high[-1])


def _opposes(trace: Trace, where: str) -> bool:
    """Whether the gradients of all other terms, each that counts, point against that of one."""
    found = []
    for pair in trace.places("term.cosine"):
        if where in pair.split("|"):
            cosine = _series.second_half(trace.signal("train", pair, "term.cosine"), trace.steps)
            found.append(cosine is not None and cosine <= _OPPOSED)
    return bool(found) and all(found)


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0
