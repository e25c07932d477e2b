"""Notes what batches are taken from, and in which order."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from probes.tap.loaders import LoaderLog
from probes.tap.locate import Sources

TAKING = {"__getitem__", "index_select", "narrow", "take", "stack", "cat"}
"""Functions that take rows."""
_MOST_PERMUTED = 8


@dataclass(frozen=True)
class Origin:
    """What a batch was taken from.

    Attributes:
        available: How much larger that is than the batch; 1 where that is not known.
        line: The line that took the batch.
        ordered: The line that gives the batches the order of the data: that makes the loader, or
            takes one slice after another; nothing where they have another order.
    """

    available: float = 1.0
    line: str = ""
    ordered: str = ""


@dataclass(frozen=True)
class _Taken:
    tensor: weakref.ref[Tensor]
    elements: float
    line: str
    follows: bool


class OriginLog:
    """What the rows of the present step were taken from.

    Args:
        sources: Tells the user's lines.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._loaders = LoaderLog(sources)
        self._taken: dict[int, _Taken] = {}
        self._permuted: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        self._made_at: dict[str, str] = {}

    def install(self) -> Callable[[], None]:
        """Note the loaders; returns what undoes it."""
        return self._loaders.install()

    def forget(self) -> None:
        """The step is over."""
        self._taken = {}

    def note(self, args: tuple[Any, ...], result: Tensor) -> None:
        """Note a call that took rows."""
        source = args[0] if args else None
        elements = float(source.numel()) if isinstance(source, Tensor) else 0.0
        if isinstance(source, list | tuple) and source and isinstance(source[0], Tensor):
            first = self._taken.get(id(source[0]))
            elements = first.elements if first else 0.0
        line = self._sources.line() or ""
        if _permutes(args, result):
            self._permuted = dict(list(self._permuted.items())[-_MOST_PERMUTED + 1 :])
            self._permuted[id(result)] = weakref.ref(result), line
        elif isinstance(source, Tensor) and id(source) in self._permuted:
            reference, made = self._permuted[id(source)]
            if reference() is source:
                self._made_at[line] = made
        made = self._made_at.get(line, line)
        self._taken[id(result)] = _Taken(weakref.ref(result), elements, made, _follows(args))

    def of(self, batch: Tensor) -> Origin:
        """Where a batch is from."""
        taken = self._taken.get(id(batch))
        if taken is not None and taken.tensor() is not batch:
            taken = None
        line = taken.line if taken else ""
        loader = self._loaders.of(batch)
        if loader is not None:
            ordered = loader.made if loader.in_order else ""
            return Origin(loader.samples / len(batch), line, ordered)
        if taken is None:
            return Origin(1.0, line)
        available = max(1.0, taken.elements / batch.numel())
        return Origin(available, line, line if taken.follows else "")


def _permutes(args: tuple[Any, ...], result: Tensor) -> bool:
    """Whether a call puts the rows of a tensor in another order."""
    index = args[1] if len(args) > 1 else None
    return (
        isinstance(index, Tensor)
        and isinstance(args[0], Tensor)
        and index.dim() == 1
        and len(index) == len(result) == len(args[0])
    )


def _follows(args: tuple[Any, ...]) -> bool:
    """Whether rows are taken one after another, as they lie there."""
    index = args[1] if len(args) > 1 else None
    first = index[0] if isinstance(index, tuple) and index else index
    if isinstance(first, Tensor) and first.dim() == 1 and first.dtype == torch.long:
        return len(first) > 1 and bool((first.diff() == 1).all())
    return isinstance(first, slice)
