"""Statistics of the units of a layer: dead and saturated ones."""

from __future__ import annotations

import torch
from torch import Tensor

from probes.tap.statistics import stride

_MOST_VALUES = 262_144
"""Values of one call that are looked at; of a larger one, rows that are evenly spread."""
_SAMPLES = 200
"""Samples without activity in a row that make a unit dead: one that is active for 1.5 % of all
samples would have been seen in 95 % of such stretches."""
_LOOKS = 5
"""Looks that such a stretch has at least."""
_BOUND = {"tanh": 0.99, "sigmoid": 0.98}
"""Distance of the output from the middle, over half its range, from which on a unit is saturated:
there its slope is less than 4 % of the largest one."""


def sampled(rows: Tensor) -> Tensor:
    """Some of the rows of a large matrix, evenly spread."""
    return rows[:: stride(len(rows), max(1, _MOST_VALUES // max(1, rows.shape[1])))]


class Silence:
    """Remembers for how many samples each unit of a rectifier was zero, up to now."""

    def __init__(self) -> None:
        self._silent: Tensor | None = None
        self._looks = 0

    def look(self, rows: Tensor, samples: int) -> dict[str, Tensor | float]:
        """Take in one batch.

        Args:
            rows: Values of the units, shape (positions, units).
            samples: How many samples the positions belong to.

        Returns:
            ``unit.dead``: share of units that were zero for at least 200 samples in a row, over
            at least 5 looks; nothing before so much was seen. ``unit.active``: share of positive
            values.
        """
        active = ~(sampled(rows) <= 0)  # NaN is no silence.
        if self._silent is None or self._silent.shape != active.shape[1:]:
            self._silent, self._looks = rows.new_zeros(rows.shape[1], dtype=torch.float32), 0
        self._looks += 1
        self._silent = torch.where(active.any(0), 0.0, self._silent + samples)
        found: dict[str, Tensor | float] = {"unit.active": active.float().mean()}
        if self._looks >= _LOOKS:
            found["unit.dead"] = (self._silent >= _SAMPLES).float().mean()
        return found


def saturation(rows: Tensor, kind: str) -> dict[str, Tensor | float]:
    """How much of a bounded activation lies at its bounds.

    Args:
        rows: Values of the units, shape (positions, units).
        kind: ``tanh`` or ``sigmoid``.

    Returns:
        ``unit.saturated``: share of values at a bound. ``unit.saturated_units``: share of the
        units that are at a bound for at least 95 % of the positions. Nothing where the values are
        outside of the bounds: a remedy has put another function there.
    """
    values = sampled(rows).float()
    centred = values if kind == "tanh" else 2 * values - 1
    if centred.abs().max() > 1.001:  # Something else was put in its place.
        return {}
    at_bound = (centred.abs() >= _BOUND[kind]).float()
    return {
        "unit.saturated": at_bound.mean(),
        "unit.saturated_units": (at_bound.mean(0) >= 0.95).float().mean(),
    }
