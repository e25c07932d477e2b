"""Notes which loaders a script goes through, and in which order they give their samples."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from probes.tap.locate import Sources
from probes.tap.wrap import all_undone, wrap

_MOST = 8


class LoaderLog:
    """The loaders that were iterated last.

    Args:
        sources: Tells the user's lines.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lines: weakref.WeakKeyDictionary[DataLoader[Any], str] = weakref.WeakKeyDictionary()
        self._iterated: list[weakref.ref[DataLoader[Any]]] = []

    def install(self) -> Callable[[], None]:
        """Note loaders that are made and iterated; returns what undoes it."""
        return all_undone(
            [
                wrap(DataLoader, "__init__", after=self._note_made),
                wrap(DataLoader, "__iter__", before=self._note_iterated),
            ]
        )

    def of(self, batch: Tensor) -> DataLoader[Any] | None:
        """The loader that a batch may be from, by its size: the one that was iterated last."""
        known = (reference() for reference in reversed(self._iterated))
        return next((one for one in known if one is not None and samples(one, batch)), None)

    def line(self, loader: DataLoader[Any]) -> str:
        """The line that made a loader."""
        return self._lines.get(loader, "")

    def _note_made(self, loader: DataLoader[Any]) -> None:
        self._lines[loader] = self._sources.line() or ""

    def _note_iterated(self, loader: DataLoader[Any]) -> None:
        others = [ref for ref in self._iterated if ref() is not loader]
        self._iterated = [*others[-_MOST + 1 :], weakref.ref(loader)]


def samples(loader: DataLoader[Any], batch: Tensor) -> int:
    """Number of samples of a loader whose batches are of that size; 0 where it has another."""
    if loader.batch_size != len(batch):
        return 0
    with contextlib.suppress(Exception):  # The data set is the user's code.
        return len(loader.dataset)  # type: ignore[arg-type]
    return 0


def in_order(loader: DataLoader[Any]) -> bool:
    """Whether a loader gives its samples in the order in which its data set has them."""
    return type(loader.sampler) is SequentialSampler and type(loader.batch_sampler) is BatchSampler
