"""Windows of a series, in shares of the run, and what is compared between them."""

from __future__ import annotations

import bisect
import math
import statistics

from probes.series import Series


def window(series: Series, steps: int, start: float, end: float) -> list[float]:
    """The finite values between two shares of a run of so many steps.

    >>> window(Series([0, 10, 90, 100], [1.0, 2.0, 3.0, 4.0]), steps=100, start=0.5, end=1.0)
    [3.0, 4.0]
    """
    low, high = start * steps, end * steps
    return [value for step, value in series.finite if low <= step <= high]


def second_half(series: Series, steps: int) -> float | None:
    """Median over the second half of the run: what persisted."""
    return middle(window(series, steps, 0.5, 1.0))


def drop(series: Series, steps: int, start: float) -> float | None:
    """By how much a series dropped from a point of the run on.

    The medians over the first and the last fifth of what remains are compared.

    Args:
        series: What was recorded.
        steps: Length of the run.
        start: Where to begin, as a share of the run.

    Returns:
        The drop, negative where the series rose; None where too little was recorded.
    """
    ends = _ends(series, steps, start)
    return None if ends is None else ends[0] - ends[1]


def relative_drop(series: Series, steps: int, start: float) -> float | None:
    """The `drop` of a series as a share of the value that it dropped from."""
    ends = _ends(series, steps, start)
    return None if ends is None or ends[0] == 0 else (ends[0] - ends[1]) / abs(ends[0])


def _ends(series: Series, steps: int, start: float) -> tuple[float, float] | None:
    fifth = (1.0 - start) / 5
    first = middle(window(series, steps, start, start + fifth))
    last = middle(window(series, steps, 1.0 - fifth, 1.0))
    return None if first is None or last is None else (first, last)


def correlation(one: Series, other: Series) -> float:
    """Pearson correlation of a sparse series with a denser one at about the same steps.

    Returns:
        The correlation; 0 where there are fewer than five common points or one does not vary.
    """
    points = [
        (value, statistics.median(nearby))
        for step, value in one.finite
        if (nearby := around(other.finite, step))
    ]
    if len(points) < 5:
        return 0.0
    try:
        return statistics.correlation([a for a, _ in points], [b for _, b in points])
    except statistics.StatisticsError:
        return 0.0


def around(series: Series, step: int) -> list[float]:
    """The four values before and the two after a step."""
    at = bisect.bisect_right(series.steps, step)
    return series.values[max(0, at - 4) : at + 2]


def first_step(series: Series, threshold: float) -> int:
    """The step from which on the finite values stay at or above a threshold."""
    onset = 0
    previous_below = True
    for step, value in series.finite:
        if value >= threshold and previous_below:
            onset = step
        previous_below = value < threshold
    return onset


def log_ratio(one: float, other: float) -> float:
    """Natural logarithm of a ratio of scales, finite for zeros."""
    return math.log((abs(one) + 1e-12) / (abs(other) + 1e-12))


def middle(values: list[float]) -> float | None:
    """Median; None where there are no values."""
    return statistics.median(values) if values else None
