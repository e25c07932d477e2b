"""How much a run leaves to be desired."""

from __future__ import annotations

from probes import _progress
from probes.objective import Objective
from probes.trace import Trace

NEARLY = 0.02
"""Share of the range that is left to gain where a run has nearly reached the best."""


def leaves(trace: Trace, metric: Objective | None, share: float) -> bool:
    """Whether more than this share of the metric's range is left to gain at the end.

    True, too, where nothing is known of the best value: there is no reason to think it reached.
    """
    if metric is None:
        return True
    curve = metric.series(trace).finite.values
    headroom = metric.headroom(curve[0], metric.final(trace)) if curve else None
    return headroom is None or headroom[1] > share


def stuck(trace: Trace, metric: Objective | None) -> bool:
    """Whether the metric went less than half of its way, with more than a fifth still to go."""
    return metric is not None and _progress.metric_moved(trace, metric, 0.5) is False
