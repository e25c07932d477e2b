"""Whether a run was harmed: it got nowhere, or lost again what it had reached."""

from __future__ import annotations

import statistics

from probes import _optimizers, _progress, _series
from probes.objective import Objective
from probes.trace import Trace

_NOWHERE = 0.1
_SLIGHTLY = 0.5
_FELL_BACK = 0.25


def bounded(metric: Objective | None) -> bool:
    """Whether the best value of a metric is known; the floor of a loss is not."""
    return metric is not None and metric.upper_bound is not None and metric.mode == "max"


def way(trace: Trace, metric: Objective | None) -> tuple[float, float] | None:
    """Which share of the way to the best value was gone since the first report, and what is left.

    None where the best value is not known, or with fewer than three reports.
    """
    if metric is None or not bounded(metric):
        return None
    curve = metric.series(trace).finite.values
    return metric.headroom(curve[0], metric.final(trace)) if len(curve) >= 3 else None


def loss_kept(trace: Trace) -> float | None:
    """The training loss of the second half over the first one, the median; None if unknown."""
    course = _optimizers.losses(trace)
    late = _series.second_half(course, trace.steps)
    if len(course) < 6 or late is None or course.values[0] <= 0:
        return None
    return late / course.values[0]


def got_nowhere(trace: Trace, metric: Objective | None, kept: float = 0.7) -> bool:
    """Whether nearly all is still to be gained.

    The metric went less than a tenth of its way since the first report and more than a fifth is
    left; or the training loss is still ``kept`` of its first value or more, and the metric went
    less than half of its way. Where the best value of the metric is not known, the loss decides.
    """
    loss = loss_kept(trace)
    found = way(trace, metric)
    if found is None:
        return loss is not None and loss >= kept
    gone, left = found
    if left <= _progress.FAR:
        return False
    return gone < _NOWHERE or (gone < _SLIGHTLY and loss is not None and loss >= kept)


def fell_back(trace: Trace, metric: Objective | None) -> bool:
    """Whether the last quarter of the reports lost a quarter of what had been reached, for good.

    Only for metrics whose best value is known and more than a fifth away.
    """
    found = way(trace, metric)
    if metric is None or found is None or found[1] <= _progress.FAR:
        return False
    curve = metric.series(trace).finite.values
    best, worst = max(curve), min(curve)
    late = statistics.median(curve[-max(2, len(curve) // 4) :])
    top = statistics.median(sorted(curve)[-max(2, len(curve) // 8) :])
    return best > worst and top - late >= _FELL_BACK * (best - min(worst, curve[0]))
