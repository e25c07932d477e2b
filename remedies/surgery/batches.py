"""Gives a program the next batch where it takes the same one again and again."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

if TYPE_CHECKING:
    from remedies.surgery.program import Program

_AGAIN = 2
"""Steps in which rows must have been taken alike before they move on."""


class _Rest:
    """What is left of an iterator over a loader; begins anew when a new user finds it at its end.

    Args:
        loader: The loader.
        begin: Makes a new iterator over it.
    """

    def __init__(self, loader: DataLoader[Any], begin: Callable[..., Iterator[Any]]) -> None:
        self._loader, self._begin = loader, begin
        self._iterator = begin(loader)

    def next(self, first: bool) -> Any:
        """The next batch; ``first`` says that a new user asks for its first one."""
        try:
            return next(self._iterator)
        except StopIteration:
            self._iterator = self._begin(self._loader)
            if first:
                return next(self._iterator)
            raise


class _User:
    def __init__(self, rest: _Rest) -> None:
        self._rest = rest
        self._first = True
        self._done = False

    def __iter__(self) -> _User:
        return self

    def __next__(self) -> Any:
        if self._done:
            raise StopIteration
        first, self._first = self._first, False
        try:
            return self._rest.next(first)
        except StopIteration:
            self._done = True
            raise


class Continued:
    """The ``__iter__`` of a loader that goes on where the last iterator was left.

    Args:
        begin: The original method.
        tell: Called when an iterator that was not used up is continued.
    """

    def __init__(self, begin: Callable[..., Iterator[Any]], tell: Callable[[str], None]) -> None:
        self._begin = begin
        self._tell = tell
        self._rests: weakref.WeakKeyDictionary[DataLoader[Any], _Rest] = weakref.WeakKeyDictionary()

    def method(self) -> Callable[[DataLoader[Any]], Iterator[Any]]:
        """What to put in the place of the original."""

        def go_on(loader: DataLoader[Any]) -> Iterator[Any]:
            rest = self._rests.get(loader)
            if rest is None:
                rest = self._rests[loader] = _Rest(loader, self._begin)
            else:
                self._tell("iterators over loaders go on")
            return _User(rest)

        return go_on


class MovingRows:
    """Moves rows on that are taken from a tensor alike in step after step, outside of modules.

    Args:
        program: Tells the step.
        tell: Called when rows were moved.
    """

    def __init__(self, program: Program, tell: Callable[[str], None]) -> None:
        self._program = program
        self._tell = tell
        self._places: dict[tuple[object, ...], tuple[int, int]] = {}

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        if getattr(func, "__name__", "") != "__getitem__" or len(args) != 2:
            return NotImplemented
        source, index = args
        if not isinstance(source, Tensor) or source.requires_grad or not torch.is_grad_enabled():
            return NotImplemented
        with torch._C.DisableTorchFunction():
            rows = _rows(source, index)
        if rows is None or self._program.inside_module():
            return NotImplemented
        key = (self._program.line(), tuple(source.shape), tuple(rows))
        step = self._program.step
        last, count = self._places.get(key, (-1, 0))
        if last != step:
            count += 1
            self._places[key] = step, count
        if count <= _AGAIN:
            return NotImplemented
        self._tell("rows move on with the steps")
        with torch._C.DisableTorchFunction():
            moved = (torch.tensor(rows) + (count - 1) * len(rows)) % len(source)
        return func(source, moved.to(source.device))


def _rows(source: Tensor, index: object) -> list[int] | None:
    """The rows that an index takes, where it takes several of more."""
    count = len(source) if source.dim() else 0
    if isinstance(index, slice):
        rows = list(range(*index.indices(count)))
    elif isinstance(index, Tensor) and index.dim() == 1 and not index.is_floating_point():
        if index.dtype == torch.bool:
            return None
        rows = index.tolist()
    else:
        return None
    return rows if 1 < len(rows) < count else None
