"""P501: nearly all predictions are of one class, and the labels are not."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Phase, Trace

_COLLAPSED = 0.2
_SPREAD_LABELS = 0.02
_PERSISTS = 0.8
_FEWEST_POINTS = 5
_KNOWS_NOTHING = 0.9
_MISSES = 0.05
_STANDS_STILL = 0.1
_LEFT = 0.2


class PredictionCollapse(Probe):
    """Nearly all predictions are of one class, and the labels are not.

    What it detects:
        A classifier (of samples, tokens, cells, pixels) that gives the same class everywhere, while
        the labels that its loss is computed with have several.

    Why it harms:
        Predicting the commonest class is what is left when the features say nothing about the
        label: all that the head can learn then is how common each class is. Where one class
        dominates (background), the loss and the plain accuracy look fair all the same.

    Rule:
        In training, in the median over the second half of the run and in four of five of its
        points, the entropy of the predicted classes is less than a fifth of that of the labels, and
        fewer than one in twenty positions with another label than the commonest is predicted right.
        (The labels must not be all but constant themselves: 0.02 nats.) That alone is an
        observation (severity 0.3): with very rare classes a good model may do so. It is an alarm
        where the metric stands still (less than a tenth of the way to its best possible value was
        gone, and more than a fifth is left) or, where there is no such metric, where the
        cross-entropy is no better than nine tenths of the labels' entropy, which knowing nothing
        but the class shares gives. Losses written by hand, whose scores may be anything, are held
        against the metric only. Severity then rises from 0.5 to 1 as the entropy goes to 0.

    Example:
        bad: 100 % of the cells predicted as background, where 71 % are background
        good: background for 99 % of the cells where 99 % are, and the others found

    Source:
        Lin et al. 2017, Focal Loss (training swamped by background); the investigation of a
        background collapse.
    """

    code = "P501"
    name = "prediction-collapse"
    signals = (
        "prediction.entropy",
        "label.entropy",
        "prediction.top_share",
        "label.top_share",
        "prediction.minority_hits",
        "prediction.loss",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [
            symptom
            for where in trace.places("label.entropy")
            if (symptom := self._look(trace, where, metric)) is not None
        ]
        yield from sorted(found, key=lambda symptom: -symptom.severity)

    def _look(self, trace: Trace, where: str, metric: Objective | None) -> Symptom | None:
        evidence = {
            name.replace(".", "_"): _series.second_half(
                trace.signal("train", where, name), trace.steps
            )
            for name in self.signals
        }
        entropy, labels = evidence["prediction_entropy"], evidence["label_entropy"]
        if entropy is None or labels is None or labels < _SPREAD_LABELS:
            return None
        if entropy > _COLLAPSED * labels or not _persists(trace, where, "train", labels):
            return None
        hits = evidence["prediction_minority_hits"]
        if hits is not None and hits >= _MISSES:
            return None
        severity = 0.3
        if _harms(trace, metric, evidence["prediction_loss"], labels):
            severity = ALARM + 0.5 * (1 - entropy / (_COLLAPSED * labels))
        return self._symptom(trace, where, severity, evidence)

    def _symptom(
        self, trace: Trace, where: str, severity: float, evidence: dict[str, float | None]
    ) -> Symptom:
        term = next((info.where for info in trace.terms.values() if info.source == where), where)
        known = {name: value for name, value in evidence.items() if value is not None}
        hits = known.get("prediction_minority_hits", 0.0)
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=term,
            source=where if ":" in where else None,
            step=_onset(trace, where),
            evidence=known,
            message=(
                f"{known['prediction_top_share']:.1%} of the predictions are of one class; the "
                f"commonest one has {known['label_top_share']:.1%} of the labels, and of all "
                f"others {hits:.1%} are found{_ignorance(known)}"
            ),
        )


def _ignorance(known: dict[str, float]) -> str:
    if "prediction_loss" not in known:
        return ""
    return (
        f"; cross-entropy {known['prediction_loss']:.3g}, where the shares of the labels alone "
        f"give {known['label_entropy']:.3g}"
    )


def _persists(trace: Trace, where: str, phase: Phase, labels: float) -> bool:
    late = _series.window(trace.signal(phase, where, "prediction.entropy"), trace.steps, 0.5, 1.0)
    low = sum(value <= _COLLAPSED * labels for value in late)
    return len(late) >= _FEWEST_POINTS and low >= _PERSISTS * len(late)


def _onset(trace: Trace, where: str) -> int:
    """The step from which on the commonest class has nearly all predictions."""
    shares = trace.signal("train", where, "prediction.top_share")
    late = _series.second_half(shares, trace.steps) or 1.0
    return _series.first_step(shares, 0.95 * late)


def _harms(trace: Trace, metric: Objective | None, loss: float | None, labels: float) -> bool:
    """Whether the metric stands still; without a metric that tells, whether the loss does."""
    curve = metric.series(trace).finite.values if metric is not None else []
    if metric is not None and metric.upper_bound == 1.0 and len(curve) >= 3:
        headroom = metric.headroom(curve[0], metric.final(trace))
        if headroom is not None:
            gone, left = headroom
            return gone < _STANDS_STILL and left > _LEFT
    return loss is not None and loss >= _KNOWS_NOTHING * labels
