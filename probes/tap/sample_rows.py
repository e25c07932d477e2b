"""Fingerprints of samples that consist of several tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from probes.tap.dense import is_dense
from probes.tap.fingerprints import fingerprints
from probes.tap.unrecorded import unrecorded

Rows = list[tuple[float, ...]]
"""Fingerprints of samples: one number for each tensor that a sample consists of."""
MOST_ROWS = 128
"""Samples of one pass that are looked at."""
_FEWEST_ROWS = 4
_FEWEST_VALUES = 4
_FEW_POSSIBLE = 2**40
"""Different samples up to which one comes again by chance in a run that draws a million or so."""
_DISTINCT = 0.99
_MOST_COLUMNS = 32


def sample_rows(given: object) -> Rows:
    """Fingerprints of all that a forward pass is given, row by row; none where that is no use."""
    tensors = list(_tensors(given))
    if not tensors:
        return []
    count = len(tensors[0])
    tensors = [tensor for tensor in tensors if len(tensor) == count][:4]
    values = sum(tensor[0].numel() for tensor in tensors)
    if count < _FEWEST_ROWS or values < _FEWEST_VALUES or any(t.requires_grad for t in tensors):
        return []
    with unrecorded():
        few = _possible(tensors, values) <= _FEW_POSSIBLE
        if few and not _is_continuous(tensors, min(count, MOST_ROWS)):
            return []
        columns = [fingerprints(tensor[:MOST_ROWS]) for tensor in tensors]
    rows = list(zip(*columns, strict=True))
    distinct = len(set(rows))
    by_chance = distinct < _DISTINCT * len(rows) and not _is_continuous(tensors, distinct)
    return [] if by_chance else rows


def _possible(tensors: list[Tensor], values: int) -> float:
    """How many different samples there can be, by the different values that are seen."""
    if 2**values > _FEW_POSSIBLE:
        return math.inf
    levels = (1.0 + _changes(tensor[:MOST_ROWS]) for tensor in tensors)
    return math.prod(
        level ** tensor[0].numel() for level, tensor in zip(levels, tensors, strict=True)
    )


def _changes(values: Tensor) -> int:
    """The number of different values, less one."""
    return int(values.flatten().sort().values.diff().ne(0).sum())


def _is_continuous(tensors: list[Tensor], rows: int) -> bool:
    """Whether the values differ so much that no two samples are the same by chance."""
    for tensor in tensors:
        values = tensor[:MOST_ROWS].flatten(1) if tensor.dim() > 1 else tensor[:, None]
        values = values[:, :_MOST_COLUMNS]
        different = _changes(values)
        if tensor.is_floating_point() and different > 0.5 * rows * values.shape[1]:
            return True
    return False


def _tensors(given: object) -> list[Tensor]:
    """The tensors with rows in the arguments of a forward pass."""
    if isinstance(given, Mapping):
        given = tuple(given.values())
    if isinstance(given, tuple | list):
        return [tensor for item in given for tensor in _tensors(item)]
    return [given] if is_dense(given) and given.dim() > 0 else []
