"""Notes which loaders a script goes through, and in which order they give their samples."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from probes.tap.locate import Sources
from probes.tap.wrap import all_undone, wrap

_MOST = 8


@dataclass(frozen=True)
class Loader:
    """What is known of a loader; itself it may be gone while its iterator is used.

    Attributes:
        batch: Size of its batches.
        samples: How many samples it has.
        made: The line that made it.
        in_order: Whether it gives its samples in the order in which its data set has them.
    """

    batch: int
    samples: int
    made: str
    in_order: bool


class LoaderLog:
    """The loaders that were iterated last.

    Args:
        sources: Tells the user's lines.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lines: weakref.WeakKeyDictionary[DataLoader[Any], str] = weakref.WeakKeyDictionary()
        self._iterated: list[Loader] = []

    def install(self) -> Callable[[], None]:
        """Note loaders that are made and iterated; returns what undoes it."""
        return all_undone(
            [
                wrap(DataLoader, "__init__", after=self._note_made),
                wrap(DataLoader, "__iter__", before=self._note_iterated),
            ]
        )

    def of(self, batch: Tensor) -> Loader | None:
        """The loader that a batch may be from, by its size: the one that was iterated last."""
        known = reversed(self._iterated)
        return next((loader for loader in known if loader.batch == len(batch)), None)

    def _note_made(self, loader: DataLoader[Any]) -> None:
        self._lines[loader] = self._sources.line() or ""

    def _note_iterated(self, loader: DataLoader[Any]) -> None:
        samples = 0
        with contextlib.suppress(Exception):  # The data set is the user's code.
            samples = len(loader.dataset)  # type: ignore[arg-type]
        if loader.batch_size is None or not samples:
            return
        in_order = type(loader.sampler) is SequentialSampler
        in_order = in_order and type(loader.batch_sampler) is BatchSampler
        found = Loader(loader.batch_size, samples, self._lines.get(loader, ""), in_order)
        others = [known for known in self._iterated if known != found]
        self._iterated = [*others[-_MOST + 1 :], found]
