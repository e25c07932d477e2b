"""Whether a metric gets anywhere, and from where on that can be told."""

from __future__ import annotations

from probes.objective import Objective
from probes.trace import Trace

FAR = 0.2
"""Share of the range that must be left to gain for a standstill to mean anything."""


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
