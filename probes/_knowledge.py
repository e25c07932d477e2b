"""How much a model knows of what its loss asks for, whatever the scale of the loss."""

from __future__ import annotations

from probes import _progress, _series
from probes.objective import Objective
from probes.trace import Phase, Trace

_TOSSED = 0.15
"""Share of what is left that a metric which is tossed about may gain within a quarter of a run."""
LITTLE = 0.5
"""Share of what there is to know that is not known by a model that learns little."""


def ignorance(trace: Trace, phase: Phase = "train") -> float | None:
    """The share of what there is to know that is not known, of the loss that knows the least.

    For regressions the mean squared error over the variance of the targets, for classifications
    the cross-entropy over the entropy of the labels: 1 is what the mean or the class shares alone
    give. Medians over the second half of the run; None where no loss tells.
    """
    found = []
    for where in trace.places("target.unexplained", phase):
        found.append(_late(trace, phase, where, "target.unexplained"))
    for where in trace.places("prediction.loss", phase):
        loss = _late(trace, phase, where, "prediction.loss")
        entropy = _late(trace, phase, where, "label.entropy")
        found.append(loss / entropy if loss is not None and entropy else None)
    known = [value for value in found if value is not None]
    return max(known) if known else None


def learns_little(trace: Trace, metric: Objective | None) -> bool:
    """Whether a bounded metric is stuck far from its best; else, whether the loss knows little."""
    if _progress.left(trace, metric) is not None:
        return _progress.is_stuck(trace, metric, _TOSSED)
    unknown = ignorance(trace)
    return unknown is not None and unknown >= LITTLE


def suffers(trace: Trace, metric: Objective | None) -> bool:
    """Whether it learns little, or the loss overflowed."""
    losses = trace.signal("train", "loss", "loss.value")
    return learns_little(trace, metric) or len(losses) > len(losses.finite) > 0


def _late(trace: Trace, phase: Phase, where: str, name: str) -> float | None:
    return _series.second_half(trace.signal(phase, where, name), trace.steps)
