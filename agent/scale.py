"""The scale that values of a metric are compared on, and the runs that have none.

Losses are compared by their ratios, on a logarithmic scale: a loss of 6 that falls to 0.1 is cured,
and one of 16 to 0.1 no less, though the two gains have little in common. A coefficient of
determination is 1 less such a loss (the squared error over the variance): where it falls below -1,
which no accuracy or correlation does, the loss is compared in its place. Losses of zero and below,
and all else that is to rise, are compared as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from probes.objective import Objective

LEAST_GAIN = 0.01
"""Smallest gain that is a recovery, as a share of the metric."""
_LEAST_CORRELATION = -1.0


@dataclass(frozen=True)
class Scale:
    """The scale that values are compared on.

    Attributes:
        least: Smallest difference that is a recovery.
        middle: Geometric mean of the untreated losses; None where values are taken as they are.
        best: What a value that is to rise falls short of by its loss.
    """

    least: float
    middle: float | None = None
    best: float | None = None

    @classmethod
    def of(cls, objective: Objective, before: dict[int, float], after: dict[int, float]) -> Scale:
        """The scale for the values of two sides by seed, all finite."""
        values = (*before.values(), *after.values())
        if objective.mode == "min":
            best = 0.0 if min(values) > 0 else None
        else:
            best = objective.best(values) if min(values) < _LEAST_CORRELATION else None
        if best is None or best in values:
            return cls(LEAST_GAIN * _size(objective, before))
        losses = [abs(best - value) for value in before.values()]
        return cls(LEAST_GAIN, math.exp(fmean(map(math.log, losses))), best)

    def level(self, objective: Objective, value: float) -> float:
        """Where a value lies on the scale, in the direction of the metric."""
        if self.best is None:
            return value
        level = math.log(abs(self.best - value))
        return level if objective.mode == "min" else -level

    def gain(self, difference: float) -> float:
        """A difference on the scale, in units of the metric."""
        if self.middle is None:
            return difference
        return -self.middle * math.expm1(min(-difference, 500.0))


def _size(objective: Objective, values: dict[int, float]) -> float:
    """How large a change of the metric can be: its size, or what is left to its best value."""
    mean = fmean(values.values())
    best = objective.best([mean])
    return min(abs(mean), abs(best - mean)) if best else abs(mean)


def made_finite(
    objective: Objective, before: dict[int, float], after: dict[int, float]
) -> tuple[dict[int, float], dict[int, float]]:
    """Both sides with a value for the broken runs that does not drown the real ones."""
    lost = {*broken(objective, before)}, {*broken(objective, after)}
    real_before = [value for seed, value in before.items() if seed not in lost[0]]
    real_after = [value for seed, value in after.items() if seed not in lost[1]]
    real = real_before + real_after
    pick = min if objective.mode == "max" else max
    level = pick(real, default=0.0)
    if real_after and not real_before:
        margin = max(abs(level), 10 * (max(real_after) - min(real_after)))
        level += -margin if objective.mode == "max" else margin
    return (
        {seed: level if seed in lost[0] else value for seed, value in before.items()},
        {seed: level if seed in lost[1] else value for seed, value in after.items()},
    )


def broken(objective: Objective, values: dict[int, float]) -> tuple[int, ...]:
    """The seeds whose run diverged or has no value."""
    return tuple(
        seed
        for seed, value in values.items()
        if not math.isfinite(value) or abs(value) >= abs(objective.worst)
    )
