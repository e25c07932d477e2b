"""P904: classes are of unequal size, and the small ones are hardly ever predicted."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from probes import _class_weights, _places, _progress, _series, _words
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_COMMON = 0.6
_KNOWS = 0.9
_MISSED = 0.3
_BELOW = 0.95
_FEWEST_POINTS = 5
_PERSISTS = 0.8
_GAINS = 0.15
_OF_THE_REST = 0.25
_SHRINKS = 1 / 3
_NO_DECISION = {"auc", "auroc", "ap", "map", "precision", "ndcg", "mrr"}
"""Words of metrics that rank, or that do not count what is missed."""


class IgnoredImbalance(Probe):
    """Classes are of unequal size, and the small ones are hardly ever predicted.

    What it detects:
        A classifier that gives the commonest class to most samples of the others, while the metric
        (a balanced accuracy, a recall, an F1) counts these; and weights of the classes that are
        upside down.

    Why it harms:
        In the mean over samples a class of one in twenty weighs a twentieth. As long as the model
        is not sure, the commonest class is the better guess.

    Rule:
        All in training, in the median over the second half of the run and in four of five of its
        points (five at least). Either the commonest class has 60 % of the labels or more, still
        more of the predictions, and fewer than three in ten of the samples of other classes are
        predicted right; or the mean recall of the classes would be better by 0.15, and by a
        quarter of what it has left, if no class counted more for being common (the scores less the
        logarithms of the classes' shares), and that does not shrink by a third from the third
        quarter of the run to the last: the scores tell the classes apart, the decision does not.
        That alone is an observation (0.3). It is an alarm (0.6) where a bounded metric counts the
        small classes: in the second case it is nearer to the mean recall than to the plain
        accuracy, more than a fifth away from its best, and not one for which no decision is made
        (an area under a curve). In the first case it ends below the share of the commonest class,
        which a plain accuracy reaches by guessing, more than a fifth away from its best, and no
        longer moves; and the cross-entropy is below nine tenths of what the shares of the labels
        alone give: something is known of the classes, or weights would do no good (see
        prediction-collapse).

        Weights of the classes that grow with their shares (a correlation of 0.7 of the logarithms,
        where the commonest class is three times as common as the rarest one) are an alarm (0.8)
        where a bounded metric leaves more than a fifth of its range to gain: they add to what they
        are to make up for.

    Example:
        bad: ``F.cross_entropy(scores, y)`` with 95 % of one class, judged by the recall
        good: ``F.cross_entropy(scores, y, weight=n / (classes * counts))``

    Source:
        Menon et al. 2021, Long-tail learning via logit adjustment; He and Garcia 2009, Learning
        from Imbalanced Data; Buda et al. 2018, A systematic study of the class imbalance problem
        in convolutional neural networks.
    """

    code = "P904"
    name = "ignored-imbalance"
    signals = (
        "label.top_share",
        "label.entropy",
        "prediction.top_share",
        "prediction.loss",
        "prediction.minority_hits",
        "prediction.hits",
        "prediction.recall",
        "prediction.fair_recall",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("label.weight.0"):
            yield from self._upside_down(trace, metric, where)
        for where in trace.places("prediction.minority_hits"):
            evidence = {name.replace(".", "_"): _late(trace, where, name) for name in self.signals}
            known = {name: value for name, value in evidence.items() if value is not None}
            missed, unfair = _is_unequal(trace, where, evidence), _is_unfair(trace, where, known)
            if not (missed or unfair):
                continue
            knows = known.get("prediction_loss", 0.0) < _KNOWS * known.get("label_entropy", 0.0)
            harms = missed and knows and _harms(trace, metric, known["label_top_share"])
            if unfair:
                harms = harms or _counts_all_classes(trace, metric, known)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.1 if harms else 0.3,
                where=_places.term_at(trace, where),
                source=where if ":" in where else None,
                step=trace.signal("train", where, "prediction.minority_hits").steps[0],
                evidence=known,
                message=_message(known, unfair),
            )

    def _upside_down(self, trace: Trace, metric: Objective | None, where: str) -> Iterable[Symptom]:
        weights, shares = (
            _class_weights.of_classes(trace, where, f"label.{n}") for n in ("weight", "share")
        )
        if len(weights) != len(shares) or not _class_weights.are_upside_down(weights, shares):
            return
        common, rare = shares.index(max(shares)), shares.index(min(shares))
        harms = (_progress.left(trace, metric) or 0.0) > _progress.FAR
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.3 if harms else 0.3,
            where=_places.term_at(trace, where),
            source=where if ":" in where else None,
            step=trace.signal("train", where, "label.weight.0").steps[0],
            evidence={"weight": weights[common], "other_weight": weights[rare]},
            message=(
                f"the weights of the classes are upside down: {weights[common]:.3g} for the "
                f"commonest one, with {shares[common]:.0%} of the labels, {weights[rare]:.3g} for "
                f"the rarest, with {shares[rare]:.1%}"
            ),
        )


def _message(known: dict[str, float], unfair: bool) -> str:
    told = (
        f"one class has {known['label_top_share']:.0%} of the labels and "
        f"{known['prediction_top_share']:.0%} of the predictions, and of all others "
        f"{known['prediction_minority_hits']:.0%} are found"
    )
    if unfair:
        told += (
            f"; the mean recall of the classes is {known['prediction_recall']:.0%}, and would be "
            f"{known['prediction_fair_recall']:.0%} if none counted more for being common"
        )
    return told


def _is_unfair(trace: Trace, where: str, known: dict[str, float]) -> bool:
    """Whether the scores tell the classes apart much better than the decisions do, to the end."""
    plain, fair = (
        trace.signal("train", where, f"prediction.{n}") for n in ("recall", "fair_recall")
    )
    gaps = Series(plain.steps, [b - a for a, b in zip(plain.values, fair.values, strict=False)])
    late = _series.window(gaps, trace.steps, 0.5, 1.0)
    if len(late) < _FEWEST_POINTS or "prediction_recall" not in known:
        return False
    least = max(_GAINS, _OF_THE_REST * (1 - known["prediction_recall"]))
    persists = sum(gap > 0 for gap in late) >= _PERSISTS * len(late)
    before = _series.middle(_series.window(gaps, trace.steps, 0.5, 0.75))
    last = _series.middle(_series.window(gaps, trace.steps, 0.75, 1.0))
    if before is None or last is None or last < (1 - _SHRINKS) * before:
        return False
    return persists and statistics.median(late) >= least and last >= least


def _counts_all_classes(trace: Trace, metric: Objective | None, known: dict[str, float]) -> bool:
    """Whether the metric is more like the mean recall of the classes than the plain accuracy."""
    if metric is None or not metric.bounded:
        return False
    if _words.tokens(metric.name) & _NO_DECISION or not metric.series(trace).finite:
        return False
    if (_progress.left(trace, metric) or 0.0) <= _progress.FAR:
        return False
    final = metric.final(trace)
    middle = (known["prediction_recall"] + known["prediction_hits"]) / 2
    return (final / 100 if final > 1.5 else final) < middle


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
