"""Fingerprints of samples: the same sample has the same one in every batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from probes.tap.dense import is_dense

_MOST_FEATURES = 4096
_MOST_KNOWN = 20_000
_DISTINCT = 0.99
_MOST_ROWS = 1024
_ROWS_AT_ONCE = 32
"""In double precision, so that the copy stays small beside a batch."""


def first_rows(value: object) -> Tensor | None:
    """The first dense tensor in a module's input that has rows."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((rows for item in value if (rows := first_rows(item)) is not None), None)
    return value if is_dense(value) and value.dim() > 0 else None


def fingerprints(batch: Tensor) -> list[float]:
    """One number for each of the first rows: a projection on a fixed direction.

    Args:
        batch: Shape (rows, ...).
    """
    rows = batch.detach()[:_MOST_ROWS].reshape(min(len(batch), _MOST_ROWS), -1)
    stride = -(-rows.shape[1] // _MOST_FEATURES)
    rows = rows[:, ::stride]
    places = torch.arange(1, rows.shape[1] + 1, dtype=torch.float64, device=rows.device)
    direction = 1 + (12.9898 * places).sin()
    few = torch.split(rows, _ROWS_AT_ONCE)
    projected = torch.cat([(part.double() * direction).sum(1) for part in few])
    # In single precision, so that another order of summation gives the same number.
    numbers: list[float] = projected.float().tolist()
    return numbers


class Pairs:
    """Remembers which label every sample had when it was last seen."""

    def __init__(self) -> None:
        self._known: dict[float, float] = {}
        self._labels: Counter[float] = Counter()

    def take(self, rows: list[float], labels: list[float]) -> dict[str, float]:
        """Compare a batch with what is known, and remember it.

        Returns:
            ``pairs.revisited``: samples of the batch that were seen before. ``pairs.changed``: the
            share of them that have another label now. ``pairs.expected``: the share that would
            if labels were dealt at random. ``pairs.recurring``: the share of the labels that were
            seen before, with whatever sample. Nothing where a sample is in the batch twice.
        """
        if len(set(rows)) < _DISTINCT * len(rows) or len(rows) != len(labels):
            return {}
        seen = [(self._known[row], label) for row, label in zip(rows, labels, strict=True)
                if row in self._known]  # fmt: skip
        found = {"pairs.revisited": float(len(seen))}
        if seen:
            total = self._labels.total()
            alike = sum((count / total) ** 2 for count in self._labels.values())
            found["pairs.changed"] = sum(old != new for old, new in seen) / len(seen)
            found["pairs.expected"] = 1 - alike
            found["pairs.recurring"] = sum(label in self._labels for label in labels) / len(labels)
        if len(self._known) < _MOST_KNOWN:
            self._known.update(zip(rows, labels, strict=True))
            self._labels.update(labels)
        return found
