"""P705: logits that something holds so small that their loss hardly sees what they know."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _crawl, _knowledge, _optimizers, _places, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import Symptom
from probes.trace import Trace

_NAMES = ("loss", "equal_loss", "best_loss", "factor", "spread")
_REACHED = 0.25
_NATS = 1.0
_HELD = 2 / 3
_PERSISTS = 0.8
_FEWEST_POINTS = 4
_OBSERVED = 0.3


class FlatLogits(Probe):
    """Logits that something holds so small that their loss hardly sees what they know.

    What it detects:
        A cross-entropy of cosine similarities without a scale, or of logits that are divided by a
        temperature far too large (or multiplied by it where dividing was meant): contrastive
        losses and cosine classifiers.

    Why it harms:
        The probabilities of all classes stay nearly the same, however right the ranking is. The
        loss cannot get below nearly that of a constant answer, and its gradient is nearly the same
        for what is right already and for what is still confused: hard cases are not learned.

    Rule:
        One factor on all logits takes the cross-entropy of a batch from that of equal logits, at
        0, to its least. A network whose last layer is free finds that factor by itself. In the
        median over the second half of the run, and in four of five of its points, the logits as
        they are get a quarter of that way or less, and no more than one nat, which is the most
        that cosines alone can give: the right class is less than e times as likely as any. The
        least that a factor gives is half of the entropy of the labels or less (where all labels are
        the same, as with the positive pair in the first place: of what equal logits give), so that
        the ranking is largely right. And something holds the scale: from the middle of the run
        to its end, the logits grow by less than two thirds of what the sum of all learning rates so
        far grows by, with which all grows that each step adds to. Severity falls from 1 to 0.5
        with the share of the way that is gone; 0.3 where a bounded metric has a fifth of its range
        or less to gain, or where steps are too short for anything to be learned (P304).

    Example:
        bad: ``F.cross_entropy(F.normalize(a) @ F.normalize(b).T, pairs)``
        good: the same divided by a temperature of 0.07; a learned ``logit_scale``; a cosine
        classifier with a scale of 16 to 64

    Source:
        Wang et al. 2017, NormFace: L2 Hypersphere Embedding for Face Verification (the bound of a
        cross-entropy of cosines); Chen et al. 2020, A Simple Framework for Contrastive Learning of
        Visual Representations (temperatures); Guo et al. 2017, On Calibration of Modern Neural
        Networks (one factor on all logits).
    """

    code = "P705"
    name = "flat-logits"
    signals = (*(f"logits.{name}" for name in _NAMES), "label.entropy", "optimizer.lr")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [self._symptom(trace, where) for where in _flat(trace)]
        if found and not _harmed(trace, metric):
            found = [symptom.model_copy(update={"severity": _OBSERVED}) for symptom in found]
        yield from sorted(found, key=lambda symptom: -symptom.severity)

    def _symptom(self, trace: Trace, where: str) -> Symptom:
        late = {name: _late(trace, where, name) or 0.0 for name in _NAMES}
        gone = _gone(late["loss"], late["equal_loss"], late["best_loss"])
        return Symptom(
            code=self.code,
            name=self.name,
            severity=1 - 2 * max(0.0, gone),
            where=_places.term_at(trace, where),
            source=where if ":" in where else None,
            step=trace.signal("train", where, "logits.loss").steps[0],
            evidence=late | {"reached": gone},
            message=(
                f"the logits that the loss at {where} is given are nearly equal: it is "
                f"{late['loss']:.3g}, and {late['equal_loss']:.3g} for equal ones, though their "
                f"order is largely right: multiplied by {late['factor']:.0f}, as they are, they "
                f"would take it to nearly {late['best_loss']:.2g}"
            ),
        )


def _flat(trace: Trace) -> list[str]:
    return [
        where
        for where in trace.places("logits.loss")
        if _is_flat(trace, where) and _knowledge.in_order(trace, where) and _is_held(trace, where)
    ]


def _is_flat(trace: Trace, where: str) -> bool:
    """Whether the logits are far from their best scale, lastingly."""
    series = [_window(trace, where, name) for name in ("loss", "equal_loss", "best_loss")]
    flat = [
        _gone(*point) <= _REACHED and point[1] - point[0] <= _NATS
        for point in zip(*series, strict=False)
    ]
    return len(flat) >= _FEWEST_POINTS and sum(flat) >= _PERSISTS * len(flat)


def _is_held(trace: Trace, where: str) -> bool:
    """Whether the logits grow by less than two thirds as much as those that each step adds to."""
    spread = trace.signal("train", where, "logits.spread")
    travelled = _travelled(trace) or Series(spread.steps, spread.steps)
    grown, free = _rise(trace, spread), _rise(trace, travelled)
    return grown is not None and free is not None and grown < _HELD * free


def _rise(trace: Trace, series: Series) -> float | None:
    shrunk = _series.relative_drop(series, trace.steps, start=0.5)
    return None if shrunk is None else -shrunk


def _travelled(trace: Trace) -> Series | None:
    """The learning rates of all steps so far, added up; None where no optimizer tells them."""
    groups = _optimizers.groups(trace)
    if not groups:
        return None
    found, total, before = Series(), 0.0, 0
    for step, rate in trace.signal("train", groups[0], "optimizer.lr").finite:
        total += rate * (step - before)
        before = step
        found.append(step, total)
    return found


def _gone(loss: float, equal: float, best: float) -> float:
    """How much of the way from equal logits to those of the best scale is gone."""
    return (equal - loss) / (equal - best) if best < equal else 1.0


def _harmed(trace: Trace, metric: Objective | None) -> bool:
    return _progress.leaves(trace, metric, _progress.FAR) and _crawl.crawl(trace, metric) is None


def _window(trace: Trace, where: str, name: str) -> list[float]:
    return _series.window(trace.signal("train", where, f"logits.{name}"), trace.steps, 0.5, 1.0)


def _late(trace: Trace, where: str, name: str) -> float | None:
    return _series.middle(_window(trace, where, name))
