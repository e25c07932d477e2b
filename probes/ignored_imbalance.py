"""P904: classes are of unequal size, and the small ones are hardly ever predicted."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _places, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_COMMON = 0.6
_KNOWS = 0.9
_MISSED = 0.3
_BELOW = 0.95
_FEWEST_POINTS = 5
_PERSISTS = 0.8


class IgnoredImbalance(Probe):
    """Classes are of unequal size, and the small ones are hardly ever predicted.

    What it detects:
        A classifier that gives the commonest class to most samples of the others, while the metric
        (a balanced accuracy, a recall, an F1) counts these.

    Why it harms:
        In the mean over samples a class of one in twenty weighs a twentieth. As long as the model
        is not sure, the commonest class is the better guess.

    Rule:
        In training, in the median over the second half of the run and in four of five of its points
        (five at least), the commonest class has 60 % of the labels or more, still more of the
        predictions, and fewer than three in ten of the samples of other classes are predicted
        right. That alone is an observation (0.3):
        some classes cannot be told apart. It is an alarm (0.6) where a bounded metric ends below
        the share of the commonest class, which a plain accuracy reaches by guessing, more than a
        fifth away from its best, and no longer moves; and the
        cross-entropy is below nine tenths of what the shares of the labels alone give: something
        is known of the classes, or weights would do no good (see prediction-collapse).

    Example:
        bad: ``F.cross_entropy(scores, y)`` with 95 % of one class, judged by the recall
        good: ``F.cross_entropy(scores, y, weight=n / (classes * counts))``

    Source:
        He and Garcia 2009, Learning from Imbalanced Data; Buda et al. 2018, A systematic study of
        the class imbalance problem in convolutional neural networks.
    """

    code = "P904"
    name = "ignored-imbalance"
    signals = (
        "label.top_share",
        "label.entropy",
        "prediction.top_share",
        "prediction.loss",
        "prediction.minority_hits",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("prediction.minority_hits"):
            evidence = {name.replace(".", "_"): _late(trace, where, name) for name in self.signals}
            if not _is_unequal(trace, where, evidence):
                continue
            known = {name: value for name, value in evidence.items() if value is not None}
            knows = known.get("prediction_loss", 0.0) < _KNOWS * known.get("label_entropy", 0.0)
            harms = knows and _harms(trace, metric, known["label_top_share"])
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.1 if harms else 0.3,
                where=_places.term_at(trace, where),
                source=where if ":" in where else None,
                step=trace.signal("train", where, "prediction.minority_hits").steps[0],
                evidence=known,
                message=(
                    f"one class has {known['label_top_share']:.0%} of the labels and "
                    f"{known['prediction_top_share']:.0%} of the predictions, and of all others "
                    f"{known['prediction_minority_hits']:.0%} are found"
                ),
            )


def _is_unequal(trace: Trace, where: str, evidence: dict[str, float | None]) -> bool:
    labels, said = evidence["label_top_share"], evidence["prediction_top_share"]
    hits = evidence["prediction_minority_hits"]
    if labels is None or said is None or hits is None or hits >= _MISSED or said <= labels:
        return False
    if labels < _COMMON:
        return False
    late = _series.window(
        trace.signal("train", where, "prediction.minority_hits"), trace.steps, 0.5, 1.0
    )
    low = sum(value < _MISSED for value in late)
    return len(late) >= _FEWEST_POINTS and low >= _PERSISTS * len(late)


def _harms(trace: Trace, metric: Objective | None, share: float) -> bool:
    """Whether the metric ends below what guessing the commonest class gives a plain accuracy."""
    if metric is None or not _progress.is_stuck(trace, metric):
        return False
    final = metric.final(trace)
    return final / (metric.best([final]) or 1.0) < _BELOW * share


def _late(trace: Trace, where: str, name: str) -> float | None:
    return _series.second_half(trace.signal("train", where, name), trace.steps)
