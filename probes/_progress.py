"""Whether a metric gets anywhere, and from where on that can be told."""

from __future__ import annotations

from probes.objective import Objective
from probes.trace import Trace

FAR = 0.2
"""Share of the range that must be left to gain for a standstill to mean anything."""
_MOVES = 0.05


def first_report(trace: Trace, metric: Objective | None) -> float:
    """Where in the run the metric was first reported, as a share; at most half way."""
    steps = metric.series(trace).steps if metric else []
    return min(0.5, steps[0] / trace.steps) if steps and trace.steps else 0.0


def metric_moved(trace: Trace, metric: Objective, share: float) -> bool | None:
    """Whether the metric went this share of its way since its first report.

    None where that means nothing: too few reports, or nearly nothing left to gain.
    """
    curve = metric.series(trace).finite.values
    if len(curve) < 3:
        return None
    start, end = curve[0], metric.final(trace)
    headroom = metric.headroom(start, end)
    if headroom is None:
        spread = max(abs(start), max(curve) - min(curve))
        return metric.gain(start, end) >= share * spread
    gone, left = headroom
    return gone >= share if left > FAR else None


def stands_still(trace: Trace, metric: Objective, share: float) -> bool:
    """Whether no report was further from the first one than this share of the way to the best.

    Other than with `metric_moved`, a metric that rose and fell again did move, and so did one that
    only got worse. False where that cannot be told (see `gets_nowhere`).
    """
    ways = _ways(trace, metric)
    return bool(ways) and all(abs(gone) < share and left > FAR for gone, left in ways)


def gets_nowhere(trace: Trace, metric: Objective, share: float) -> bool:
    """Whether no report was better than the first one by this share of the way to the best.

    False with fewer than five reports, where nearly nothing is left to gain, and where the best
    value is not known: a loss may have a floor well above zero.
    """
    ways = _ways(trace, metric)
    return bool(ways) and all(gone < share and left > FAR for gone, left in ways)


def _ways(trace: Trace, metric: Objective) -> list[tuple[float, float]]:
    curve = metric.series(trace).finite.values
    if len(curve) < 5 or metric.upper_bound is None or metric.mode == "min":
        return []
    return [way for value in curve if (way := metric.headroom(curve[0], value)) is not None]


def left(trace: Trace, metric: Objective | None) -> float | None:
    """How much of its range a bounded metric has left to its best value; None for others."""
    if metric is None or metric.mode == "min" or metric.upper_bound is None:
        return None
    curve = metric.series(trace).finite.values
    headroom = metric.headroom(curve[0], metric.final(trace)) if curve else None
    return None if headroom is None else headroom[1]


def is_stuck(trace: Trace, metric: Objective | None, moves: float = _MOVES) -> bool:
    """Whether a bounded metric ends far from its best value and no longer moves towards it.

    Far is more than `FAR`; it moves where the mean over the last quarter of the reports is nearer
    to the best than that over the quarter before, by this share of what was left, a twentieth
    usually. False with fewer than six reports.
    """
    share = left(trace, metric)
    if metric is None or share is None or share <= FAR:
        return False
    curve = metric.series(trace).finite.values
    if len(curve) < 6:
        return False
    quarter = len(curve) // 4
    before, last = curve[-2 * quarter : -quarter], curve[-quarter:]
    headroom = metric.headroom(sum(before) / len(before), sum(last) / len(last))
    return headroom is not None and headroom[0] < moves
