"""Other activations in the place of those that a program calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from remedies.surgery.program import Program
from remedies.treatment import Action

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "leaky_relu": lambda values: functional.leaky_relu(values, 0.01),
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "selu": functional.selu,
    "elu": functional.elu,
    "tanh": functional.tanh,
}


class Activation(nn.Module):
    """An activation by its name.

    Args:
        name: Name of the function of `torch.nn.functional`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, values: Tensor) -> Tensor:
        """The activation of ``values``, of the same shape."""
        return _FUNCTIONS[self.name](values)

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return self.name


def swap_calls(program: Program, action: Action, calls: Iterable[str], name: str) -> None:
    """Let calls of activations compute another one.

    Args:
        program: The program.
        action: Is reported.
        calls: Functions and the lines that call them, ``relu@train.py:12``.
        name: Name of the function to compute instead.
    """
    wanted: dict[str, set[str]] = {}
    for call in calls:
        operation, _, line = call.partition("@")
        wanted.setdefault(operation, set()).add(line)

    def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        called = getattr(func, "__name__", "")
        lines = wanted.get(called.rstrip("_"))
        if lines is None or not args or not isinstance(args[0], Tensor):
            return NotImplemented
        line = program.line()
        if line not in lines:
            return NotImplemented
        program.report(action, f"{called.rstrip('_')}@{line}", f"now {name}")
        values = args[0]
        if called.endswith("_") or kwargs.get("inplace"):  # The caller may go on with what it gave.
            return values.copy_(_FUNCTIONS[name](values.clone()))
        return _FUNCTIONS[name](values)

    program.rewrite_calls(rewrite)
