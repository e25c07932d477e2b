"""Ends every pass over a data loader after a few batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader

from probes.trace import Event


class BatchLimit:
    """Shortens the epochs of the program: all loaders, those of the evaluation, too.

    The length of a loader is told accordingly, so that averages over it and schedules that are
    made from it stay right.

    Args:
        most: Batches of one pass.
        emit: Takes a note where there was nothing to shorten.
    """

    def __init__(self, most: int, emit: Callable[[Event], None]) -> None:
        self._most = most
        self._emit = emit
        self._passes = 0

    def install(self) -> None:
        """Begin to shorten."""
        iterate, length = DataLoader.__iter__, DataLoader.__len__

        def shortened(loader: DataLoader[Any]) -> Iterator[Any]:
            self._passes += 1
            return itertools.islice(iterate(loader), self._most)

        DataLoader.__iter__ = shortened  # type: ignore[method-assign,assignment]
        DataLoader.__len__ = lambda loader: min(length(loader), self._most)  # type: ignore[method-assign]

    def finish(self) -> None:
        """Say so where the program has no pass over a loader."""
        if not self._passes:
            text = "--max-batches-per-epoch has no effect: the script uses no torch DataLoader"
            self._emit({"event": "note", "text": text})
