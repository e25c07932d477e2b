"""Watches whether a data set is changed by reading its items."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset
from torch.utils.data._utils.fetch import _MapDatasetFetcher

from probes.tap.guard import quietly
from probes.tap.locate import Sources
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded
from probes.tap.wrap import wrap

_MOST_ROWS = 32

Row = Tensor | numpy.ndarray[Any, Any]
Rows = dict[str, list[Row]]
"""Rows of tensors or arrays by the attribute that has them."""


class StoredRowWatch:
    """Compares what a data set keeps of a batch before and after the batch was read from it.

    Args:
        sources: Tells the user's lines.
        collector: Takes, once every sample was read, at ``CLASS.ATTRIBUTE|LINE`` with the line that
            reads an item: ``data.changed``, the share of the batch whose stored rows are others
            than before; and ``data.is_array``, whether it is a numpy array.
    """

    def __init__(self, sources: Sources, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False
        self._before: tuple[Any, list[int], Rows] | None = None
        self._read: weakref.WeakKeyDictionary[Dataset[Any], int] = weakref.WeakKeyDictionary()

    def install(self) -> Callable[[], None]:
        """Watch how batches are read; returns what undoes it."""
        return wrap(_MapDatasetFetcher, "fetch", before=quietly(self._begin))

    def switch_on(self) -> None:
        """Watch the next step."""
        self._on = True

    def switch_off(self) -> None:
        """Watch no more."""
        self._on = False

    def _begin(self, fetcher: Any, index: Any) -> None:
        # Not at once: a remedy may put back what this batch changes.
        before, self._before = self._before, None
        if before is not None:
            self._compare(*before)
        dataset, indices = located(fetcher.dataset, index)
        count = len(indices)
        self._read[dataset] = self._read.get(dataset, 0) + count
        if self._on and count and self._read[dataset] > len(dataset) + count:
            some = indices[:_MOST_ROWS]
            self._before = dataset, some, stored(dataset, some)

    def _compare(self, dataset: Any, indices: list[int], before: Rows) -> None:
        method = type(dataset).__getitem__
        code = getattr(method, "__code__", None)
        if code is None or self._sources.name(code.co_filename) is None:
            return
        line = self._sources.place(code, code.co_firstlineno)
        with unrecorded():
            for name, rows in stored(dataset, indices).items():
                if name not in before:
                    continue
                pairs = zip(before[name], rows, strict=True)
                changed = [not same(one, other) for one, other in pairs]
                where = f"{type(dataset).__name__}.{name}|{line}"
                found = {
                    "data.changed": sum(changed) / len(changed),
                    "data.is_array": float(isinstance(rows[0], numpy.ndarray)),
                }
                self._collector.add("train", where, found)


def located(dataset: Any, index: Any) -> tuple[Any, list[int]]:
    """The data set behind a subset, and the indices in it."""
    indices = list(index) if isinstance(index, Sequence) else [index]
    while isinstance(dataset, Subset):
        indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
    return dataset, [int(i) for i in indices]


def stored(dataset: Any, indices: list[int]) -> Rows:
    """Copies of what a data set keeps of some samples, in a tensor, an array or a list of these."""
    return {
        name: [_copy(value[index]) for index in indices]
        for name, value in vars(dataset).items()
        if _has_rows(value, len(dataset))
    }


def same(one: Row, other: Row) -> bool:
    """Whether two rows are equal; NaN is equal to itself."""
    if one.shape != other.shape:
        return False
    first, second = torch.as_tensor(one), torch.as_tensor(other)
    return bool(((first == second) | ((first != first) & (second != second))).all())


def _has_rows(value: Any, count: int) -> bool:
    if isinstance(value, list):
        return len(value) == count > 0 and isinstance(value[0], Tensor | numpy.ndarray)
    return isinstance(value, Tensor | numpy.ndarray) and value.shape[:1] == (count,)


def _copy(row: Any) -> Row:
    return row.detach().clone() if isinstance(row, Tensor) else numpy.array(row)
