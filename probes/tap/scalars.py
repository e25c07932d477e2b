"""Remembers every differentiable scalar that the program computes: its value and its line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from probes.tap.locate import Sources


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


def _active_modes() -> list[TorchFunctionMode]:
    return list(_get_current_function_mode_stack())  # type: ignore[no-untyped-call]


class ScalarLog(TorchFunctionMode):
    """While on, notes each scalar result that has a gradient, by its autograd node.

    The tensors themselves are passed through untouched. Values are copied, because an in-place
    ``loss += term`` would overwrite them.

    Args:
        sources: Tells the user's lines.
    """

    def __init__(self, sources: Sources) -> None:
        super().__init__()
        self._sources = sources
        self._noting = False
        self.scalars: dict[Node, Scalar] = {}

    def switch_on(self) -> None:
        """Begin to note."""
        self._noting = True
        if self not in _active_modes():
            self.__enter__()  # type: ignore[no-untyped-call]

    def forget(self) -> None:
        """Let go of what was noted, and of the graphs that hang from it."""
        self.scalars = {}

    def switch_off(self) -> None:
        """Stop noting and forget what was noted."""
        self._noting = False
        self.forget()
        # A mode of the user's may lie on top; then ours stays below it, passing all through.
        stack = _active_modes()
        if stack and stack[-1] is self:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if (
            self._noting
            and isinstance(result, Tensor)
            and result.requires_grad
            and result.numel() == 1
            and result.grad_fn is not None
        ):
            self._note(result, func, args)
        return result

    def _note(self, result: Tensor, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        assert result.grad_fn is not None
        if result.grad_fn in self.scalars:
            return
        frames = self._sources.stack()
        with torch.no_grad():
            self.scalars[result.grad_fn] = Scalar(
                value=result.detach().clone(),
                operation=getattr(func, "__name__", str(func)),
                places=tuple(Place(f.f_code, f.f_lineno, f.f_lasti) for f in frames),
                elements=next((a.numel() for a in args if isinstance(a, Tensor)), 1),
            )
