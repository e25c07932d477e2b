"""Whether a run is harmed: it learned next to nothing, or got nowhere, or is stuck.

A sign such as dead units occurs in healthy runs, too. What makes it a fault is that the run gets
nowhere. Three things tell that: what the model knows of the targets that it is trained on, how far
the training loss came, and the metric.
"""

from __future__ import annotations

import statistics

from probes import _knowledge, _optimizers, _progress, _series
from probes.objective import Objective
from probes.trace import Phase, Trace

_STILL = 0.03
"""Share of the range by which the metric's mean changes from the second to the last third of its
reports, from which on it moves."""
_FEWEST_REPORTS = 4
_NOWHERE = 0.1
_SLIGHTLY = 0.5
_TOSSED = 0.15
"""Share of what is left that a metric which is tossed about may gain within a quarter of a run."""
_UNITS_GONE = 0.9
_LARGE = 0.1
"""Share of the parameters."""


def suffers(trace: Trace, metric: Objective | None) -> bool:
    """Whether the run is no better than knowing nothing, or stands still far from its best.

    A run that still gets better does not suffer, unless it is far worse than a constant. One whose
    metric nearly reached the best does not, whatever its loss says of sure mistakes.
    """
    if not _progress.leaves(trace, metric, _progress.NEARLY):
        return False
    if _knowledge.is_far_off(trace):
        return True
    if metric is not None and still_improves(trace, metric):
        return False
    if _knowledge.knows_nothing(trace):
        return True
    return metric is not None and _stuck(trace, metric)


def learns_little(trace: Trace, metric: Objective | None) -> bool:
    """Whether a bounded metric is stuck far from its best, else whether the loss knows little.

    A loss that overflowed on the way learned little, too.
    """
    losses = trace.signal("train", "loss", "loss.value")
    if len(losses) > len(losses.finite) > 0:
        return True
    if _progress.left(trace, metric) is not None:
        return _progress.is_stuck(trace, metric, _TOSSED)
    return _knows_little(trace)


def leaves_much(
    trace: Trace,
    metric: Objective | None,
    share: float = _progress.FAR,
    phase: Phase = "train",
) -> bool:
    """Whether a bounded metric leaves more than a share of its range, moving or not.

    Without one, whether the losses of a phase know little.
    """
    left = _progress.left(trace, metric)
    return _knows_little(trace, phase) if left is None else left > share


def got_nowhere(trace: Trace, metric: Objective | None, kept: float = 0.7) -> bool:
    """Whether nearly all is still to be gained.

    The metric went less than a tenth of its way since the first report and more than a fifth is
    left; or the training loss is still ``kept`` of its first value or more, and the metric went
    less than half of its way. Where the best value of the metric is not known, the loss decides;
    where that has no meaning either (adversaries, values below zero), half of its own way or size.
    """
    loss = _loss_kept(trace)
    found = _progress.way(trace, metric)
    if found is None and loss is None:
        return metric is not None and not _progress.went_half_way(trace, metric)
    if found is None:
        return loss is not None and loss >= kept
    gone, left = found
    if left <= _progress.FAR:
        return False
    return gone < _NOWHERE or (gone < _SLIGHTLY and loss is not None and loss >= kept)


def _knows_little(trace: Trace, phase: Phase = "train") -> bool:
    unknown = _knowledge.ignorance(trace, phase)
    return unknown is not None and unknown >= _knowledge.LITTLE


def _loss_kept(trace: Trace) -> float | None:
    """The training loss of the second half over the first one, the median; None if unknown."""
    course = _optimizers.losses(trace)
    late = _series.second_half(course, trace.steps)
    first = _optimizers.first_loss(trace)
    if len(course) < 6 or late is None or first <= 0:
        return None
    return late / first


def still_improves(trace: Trace, metric: Objective) -> bool:
    """Whether the last third of the reports is better than the second, by more than they vary."""
    curve = metric.series(trace).finite.values
    if len(curve) < _FEWEST_REPORTS:
        return False
    third = max(1, len(curve) // 3)
    middle, last = curve[-2 * third : -third], curve[-third:]
    gain = metric.gain(statistics.mean(middle), statistics.mean(last))
    return gain > max(_STILL * _range(curve, metric), 2 * _roughness(curve[-2 * third :]))


def _stuck(trace: Trace, metric: Objective) -> bool:
    curve = metric.series(trace).finite.values
    if len(curve) < _FEWEST_REPORTS:
        return False
    if metric.bounded:
        left = _progress.left(trace, metric)
        return left is not None and left > _progress.FAR
    # Where a floor may lie anywhere, only a run that never got off the ground is known to be stuck.
    return not _knowledge.knows_something(trace) and _gone(curve, metric) < _NOWHERE


def _gone(curve: list[float], metric: Objective) -> float:
    best = max(curve) if metric.mode == "max" else min(curve)
    return metric.gain(curve[0], best) / max(abs(curve[0]), 1e-12)


def _range(curve: list[float], metric: Objective) -> float:
    return metric.best(curve) or max(abs(statistics.median(curve)), 1e-12)


def _roughness(curve: list[float]) -> float:
    """Typical change from one report to the next that is not a trend."""
    changes = [b - a for a, b in zip(curve, curve[1:], strict=False)]
    if len(changes) < 2:
        return 0.0
    trend = statistics.mean(changes)
    return statistics.median(abs(change - trend) for change in changes)


def is_held_back(trace: Trace, metric: Objective | None, share: float) -> bool:
    """Whether a share of what is trained that cannot learn is large, and much is left to gain."""
    return share >= _LARGE and _progress.leaves(trace, metric, _progress.FAR)


def units_are_gone(trace: Trace) -> bool:
    """Whether nearly all units of some layer are dead or saturated, which tells why already."""
    return any(
        (_series.second_half(trace.signal("train", where, name), trace.steps) or 0) >= _UNITS_GONE
        for name in ("unit.dead", "unit.saturated_units")
        for where in trace.places(name)
    )
