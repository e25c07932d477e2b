"""How much a model knows of what its losses ask for, whatever the scale of the losses."""

from __future__ import annotations

import statistics

from probes import _series
from probes.trace import Phase, Trace

LITTLE = 0.5
"""Share of what there is to know that is not known by a model that learns little."""
_NOTHING = 0.9
"""Share from which on nothing is known that a constant does not say as well."""
_FAR_WORSE = 3.0
"""Share from which on a constant would be much better."""


def unknown(trace: Trace, phase: Phase = "train") -> list[float]:
    """For each loss with targets, the share of what there is to know that is not known.

    For regressions the mean squared error over the variance of the targets, for classifications
    the cross-entropy over the entropy of the labels: 1 is what the mean or the class shares alone
    give. Medians over the second half of the run.
    """
    found = [
        _late(trace, phase, where, "target.unexplained")
        for where in trace.places("target.unexplained", phase)
    ]
    for where in trace.places("prediction.loss", phase):
        loss = _late(trace, phase, where, "prediction.loss")
        entropy = _late(trace, phase, where, "label.entropy")
        found.append(loss / entropy if loss is not None and entropy else None)
    return [share for share in found if share is not None]


def ignorance(trace: Trace, phase: Phase = "train") -> float | None:
    """The share that is not known of the loss that knows the least; None where no loss tells."""
    return max(unknown(trace, phase), default=None)


def skill(trace: Trace) -> tuple[str, float] | None:
    """The line of the loss whose predictions say most of its targets, and how much of them.

    Other than `unknown`, it does not depend on how a loss weighs the classes, on the size of the
    batches, or on the scale of what is predicted: a label is held against the others of its batch.

    Returns:
        The share of the entropy of the labels, or of the variance of the targets: 0 where the
        predictions have nothing to do with them. Means over the second half of the run. None where
        no loss tells.
    """
    found = []
    for where in trace.places("prediction.skill"):
        gained = _mean(trace, where, "prediction.skill")
        entropy = _mean(trace, where, "label.entropy")
        if gained is not None and entropy:
            found.append((where, gained / entropy))
    for where in trace.places("target.correlation"):
        correlation = _mean(trace, where, "target.correlation")
        if correlation is not None:
            found.append((where, max(0.0, correlation) ** 2))
    return max(found, key=lambda one: one[1], default=None)


def same_for_all(trace: Trace) -> bool:
    """Whether predictions say of a sample only what is usual at each place, as of a pixel.

    Where no loss has labels at several places of a sample, that is not known, and False.
    """
    found = [
        share
        for where in trace.places("prediction.within")
        if (share := _late(trace, "train", where, "prediction.within")) is not None
    ]
    return bool(found) and max(found) < 1 - _NOTHING


def in_order(trace: Trace, where: str) -> bool:
    """Whether logits know most of the labels of a loss, if only their scale were another one.

    That is so where the least loss that one factor on all of them gives is half of the entropy of
    the labels or less. Where all labels are the same, as with the positive pair in the first place,
    half of what equal logits give.
    """
    best = _late(trace, "train", where, "logits.best_loss")
    entropy = _late(trace, "train", where, "label.entropy")
    blank = entropy or _late(trace, "train", where, "logits.equal_loss")
    return best is not None and blank is not None and best <= LITTLE * blank


def knows_nothing(trace: Trace) -> bool:
    """Whether the model predicts no better than a constant; of several losses, all say so."""
    shares = unknown(trace)
    return bool(shares) and min(shares) >= _NOTHING


def knows_something(trace: Trace) -> bool:
    """Whether some loss is known to be better than a constant's."""
    return any(share < _NOTHING for share in unknown(trace))


def is_far_off(trace: Trace) -> bool:
    """Whether predictions are so far from all targets that a constant would be much better."""
    shares = unknown(trace)
    return bool(shares) and min(shares) > _FAR_WORSE


def begins_far_off(trace: Trace) -> bool:
    """Whether the first predictions are so far off that a constant would be much better."""
    shares = []
    for where in trace.places("target.unexplained"):
        shares += trace.signal("train", where, "target.unexplained").finite.values[:1]
    for where in trace.places("prediction.loss"):
        losses = trace.signal("train", where, "prediction.loss").finite.values
        entropies = trace.signal("train", where, "label.entropy").finite.values
        shares += [losses[0] / entropies[0]] if losses and entropies and entropies[0] else []
    return bool(shares) and min(shares) > _FAR_WORSE


def _late(trace: Trace, phase: Phase, where: str, name: str) -> float | None:
    return _series.second_half(trace.signal(phase, where, name), trace.steps)


def _mean(trace: Trace, where: str, name: str) -> float | None:
    late = _series.window(trace.signal("train", where, name), trace.steps, 0.5, 1.0)
    return statistics.fmean(late) if late else None
