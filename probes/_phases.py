"""The same place in training and in evaluation, at about the same weights."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from probes import _series
from probes.trace import Trace


def compare(
    trace: Trace, where: str, name: str, difference: Callable[[float, float], float]
) -> list[tuple[int, float]]:
    """Differences between evaluation and training of one signal, by step.

    Args:
        trace: The run.
        where: The module.
        name: The signal.
        difference: Of the value in evaluation and the median of the training values nearby.

    Returns:
        One pair of step and difference for each recorded evaluation pass.
    """
    train = trace.signal("train", where, name).finite
    found = []
    for step, value in trace.signal("eval", where, name).finite:
        nearby = _series.around(train, step)  # weights move little between them
        if nearby:
            found.append((step, difference(value, statistics.median(nearby))))
    return found


def persisting(differences: list[tuple[int, float]], steps: int) -> float | None:
    """Median difference over the second half of the run; None where there is none."""
    late = [value for step, value in differences if step >= steps / 2]
    return statistics.median(late) if late else None
