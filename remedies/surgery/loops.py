"""Loops over ``range`` that go on for longer, where they are what the training runs in."""

from __future__ import annotations

import ast
import functools
import threading
from abc import ABCMeta
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

Loop = tuple[str, int]
"""A loop of the user's code: the file, and the line of its head."""

More = Callable[[], int]
"""How many further rounds a loop makes; asked when it has made its own."""


class TrainingLoops:
    """Tells which loops the training runs in, and how much longer they go on.

    A loop is one where optimizer steps happen during its rounds while the program is in the body
    of no other loop. Loops that make an optimizer in their rounds are left out of all this: they
    begin a training anew (folds, seeds) rather than go on with it.

    Args:
        factor: How many times its own rounds such a loop makes.
        stack: The frames of the user's code that led here, innermost first.
        steps: Optimizer steps done so far.
        report: Told of each loop that goes on.
    """

    def __init__(
        self,
        factor: float,
        stack: Callable[[], list[FrameType]],
        steps: Callable[[], int],
        report: Callable[[str], None],
    ) -> None:
        self._factor = factor
        self._stack = stack
        self._steps = steps
        self._report = report
        self._made = 0
        self._restarts: set[Loop] = set()

    def optimizer_made(self, optimizer: object) -> None:
        """Note that an optimizer was made, here and now."""
        self._made += 1
        self._restarts |= _around(self._stack())

    def begin(self, rounds: range) -> More | None:
        """To be called when an iteration begins; None where it cannot be a training loop."""
        if threading.current_thread() is not threading.main_thread():
            return None
        if _around(self._stack()) - self._restarts:
            return None
        steps, made = self._steps(), self._made

        def more() -> int:
            if self._steps() == steps or self._made != made:
                return 0
            further = round((self._factor - 1) * len(rounds))
            self._report(f"{rounds!r} goes on for another {further} rounds")
            return further

        return more

    def stand_in(self) -> type:
        """A class to take the place of ``range``."""
        return _Like("range", (_LongRange,), {"_begin": staticmethod(self.begin)})


class _Like(ABCMeta):
    """Lets a class pass for ``range`` in type checks."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, range) or super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, range) or super().__subclasscheck__(subclass)


class _LongRange(Sequence[int], metaclass=_Like):
    """A range that may go on when it is iterated over, and is an ordinary one in all else."""

    __slots__ = ("_inner",)
    _begin: Callable[[range], More | None]

    def __init__(self, *bounds: Any) -> None:
        self._inner = range(*bounds)

    def __iter__(self) -> Iterator[int]:
        # Asked now and not with the first item: this is where the stack is that of the loop.
        more = self._begin(self._inner)
        return iter(self._inner) if more is None else self._long(more)

    def _long(self, more: More) -> Iterator[int]:
        yield from self._inner
        start = self._inner.start + len(self._inner) * self._inner.step
        for number in range(more()):
            yield start + number * self._inner.step

    def __getitem__(self, index: Any) -> Any:
        found = self._inner[index]
        return type(self)(found.start, found.stop, found.step) if type(found) is range else found

    def __len__(self) -> int:
        return len(self._inner)

    def __contains__(self, value: object) -> bool:
        return value in self._inner

    def __reversed__(self) -> Iterator[int]:
        return reversed(self._inner)

    def __eq__(self, other: object) -> bool:
        return self._inner == getattr(other, "_inner", other)

    def __hash__(self) -> int:
        return hash(self._inner)

    def __repr__(self) -> str:
        return repr(self._inner)

    def __reduce__(self) -> Any:
        return range, (self.start, self.stop, self.step)

    @property
    def start(self) -> int:
        return self._inner.start

    @property
    def stop(self) -> int:
        return self._inner.stop

    @property
    def step(self) -> int:
        return self._inner.step


Place = tuple[int, int]
"""Line and column."""

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)


@functools.cache
def _bodies(filename: str) -> list[tuple[int, Place, Place]]:
    """Head, beginning and end of the body of every loop in a file."""
    try:
        tree = ast.parse(Path(filename).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, _LOOPS):
            found.append((node.lineno, _begin(node.body[0]), _end(node.body[-1])))
        elif isinstance(node, _COMPREHENSIONS):
            found.append((node.lineno, _begin(node.elt), _end(node.elt)))
    return found


def _begin(node: ast.expr | ast.stmt) -> Place:
    return node.lineno, node.col_offset


def _end(node: ast.expr | ast.stmt) -> Place:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _around(stack: list[FrameType]) -> set[Loop]:
    """The loops in whose body the program is, at any level of its stack."""
    return {
        (frame.f_code.co_filename, head)
        for frame in stack
        for head, first, last in _bodies(frame.f_code.co_filename)
        if first <= _here(frame) < last
    }


def _here(frame: FrameType) -> Place:
    """Where in its file a frame is: a loop and its body may share a line."""
    instruction = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
    line, _, column, _ = instruction or (None, None, None, None)
    return line or frame.f_lineno, column or 0
