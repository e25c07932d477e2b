"""Remembers every differentiable scalar that the program computes: its value and its line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

from probes.tap.locate import Sources
from probes.tap.unrecorded import unrecorded


@dataclass(frozen=True, slots=True)
class Place:
    """One call in the user's code: the line, and which of several calls on it."""

    code: CodeType
    line: int
    instruction: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A differentiable scalar as it was computed.

    Attributes:
        value: Copy of its value, detached.
        operation: Name of the torch function that made it.
        places: The user's stack, innermost first.
        elements: Number of elements of the function's first tensor argument.
    """

    value: Tensor
    operation: str
    places: tuple[Place, ...]
    elements: int


class ScalarLog:
    """Notes each scalar result that has a gradient, by its autograd node.

    Values are copied, because an in-place ``loss += term`` would overwrite them.

    Args:
        sources: Tells the user's lines.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.scalars: dict[Node, Scalar] = {}

    def forget(self) -> None:
        """Let go of what was noted, and of the graphs that hang from it."""
        self.scalars = {}

    def note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Take one call (see `CallLog`)."""
        if not (isinstance(result, Tensor) and result.requires_grad and result.numel() == 1):
            return
        if result.grad_fn is None or result.grad_fn in self.scalars:
            return
        frames = self._sources.stack()
        with unrecorded():
            self.scalars[result.grad_fn] = Scalar(
                value=result.detach().clone(),
                operation=getattr(func, "__name__", str(func)),
                places=tuple(map(place_of, frames)),
                elements=next((a.numel() for a in args if isinstance(a, Tensor)), 1),
            )


def place_of(frame: FrameType) -> Place:
    """The call that a frame of the user's code is at."""
    return Place(frame.f_code, frame.f_lineno, _call(frame.f_code, frame.f_lasti))


@functools.lru_cache(maxsize=4096)
def _call(code: CodeType, instruction: int) -> int:
    """The first instruction of a call, whichever of its instructions the interpreter is at.

    A call is two instructions in Python 3.11; once it has been made often enough to be
    specialised, it is made by the first of them.
    """
    positions = list(code.co_positions())
    first = instruction // 2
    if positions[first][2] is None:  # Python was told to keep no columns.
        return instruction
    while first and positions[first - 1] == positions[first]:
        first -= 1
    return 2 * first
