"""Whether a metric gets anywhere, from where on that can be told, and what it leaves to gain."""

from __future__ import annotations

import statistics

from probes.objective import Objective
from probes.trace import Trace

FAR = 0.2
"""Share of the range that must be left to gain for a standstill to mean anything."""
NEARLY = 0.02
"""Share of the range that is left to gain where a run has nearly reached the best."""
_MOVES = 0.05
_FELL_BACK = 0.25


def first_report(trace: Trace, metric: Objective | None) -> float:
    """Where in the run the metric was first reported, as a share; at most half way."""
    steps = metric.series(trace).steps if metric else []
    return min(0.5, steps[0] / trace.steps) if steps and trace.steps else 0.0


def way(trace: Trace, metric: Objective | None) -> tuple[float, float] | None:
    """Which share of the way to the best value was gone since the first report, and what is left.

    None where the best value is not known (see `Objective.bounded`), or with fewer than three
    reports.
    """
    reports = len(metric.series(trace).finite) if metric else 0
    return _to_the_best(trace, metric) if reports >= 3 else None


def left(trace: Trace, metric: Objective | None) -> float | None:
    """How much of its range a bounded metric has left to its best value; None for others."""
    found = _to_the_best(trace, metric)
    return None if found is None else found[1]


def _to_the_best(trace: Trace, metric: Objective | None) -> tuple[float, float] | None:
    if metric is None or not metric.bounded:
        return None
    curve = metric.series(trace).finite.values
    return metric.headroom(curve[0], metric.final(trace)) if curve else None


def leaves(trace: Trace, metric: Objective | None, share: float) -> bool:
    """Whether more than this share of the metric's range is left to gain at the end.

    For losses in units of where they began. True where nothing is known of the best value: there
    is no reason to think it reached.
    """
    if metric is None:
        return True
    curve = metric.series(trace).finite.values
    headroom = metric.headroom(curve[0], metric.final(trace)) if curve else None
    return headroom is None or headroom[1] > share


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
    gone, remaining = headroom
    return gone >= share if remaining > FAR else None


def went_half_way(trace: Trace, metric: Objective | None) -> bool:
    """Whether the metric went half of its way, or has little left to gain, or cannot be told."""
    return metric is None or metric_moved(trace, metric, 0.5) is not False


def stands_still(trace: Trace, metric: Objective, share: float) -> bool:
    """Whether no report was further from the first one than this share of the way to the best.

    Other than with `metric_moved`, a metric that rose and fell again did move, and so did one that
    only got worse. False where that cannot be told (see `gets_nowhere`).
    """
    ways = _ways(trace, metric)
    return bool(ways) and all(abs(gone) < share and rest > FAR for gone, rest in ways)


def gets_nowhere(trace: Trace, metric: Objective, share: float) -> bool:
    """Whether no report was better than the first one by this share of the way to the best.

    False with fewer than five reports, where nearly nothing is left to gain, and where the best
    value is not known: a loss may have a floor well above zero.
    """
    ways = _ways(trace, metric)
    return bool(ways) and all(gone < share and rest > FAR for gone, rest in ways)


def _ways(trace: Trace, metric: Objective) -> list[tuple[float, float]]:
    curve = metric.series(trace).finite.values
    if len(curve) < 5 or not metric.bounded:
        return []
    return [way for value in curve if (way := metric.headroom(curve[0], value)) is not None]


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
    headroom = metric.headroom(statistics.mean(before), statistics.mean(last))
    return headroom is not None and headroom[0] < moves


def fell_back(trace: Trace, metric: Objective | None) -> bool:
    """Whether the last quarter of the reports lost a quarter of what had been reached, for good.

    Only for bounded metrics that end far from their best.
    """
    share = left(trace, metric)
    if metric is None or share is None or share <= FAR:
        return False
    curve = metric.series(trace).finite.values
    best, worst = max(curve), min(curve)
    late = statistics.median(curve[-max(2, len(curve) // 4) :])
    top = statistics.median(sorted(curve)[-max(2, len(curve) // 8) :])
    return best > worst and top - late >= _FELL_BACK * (best - min(worst, curve[0]))
