"""What the remedies that put a norm somewhere have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor

    from remedies.surgery import Program

    Norm = Callable[[Tensor], Tensor]

KIND: Space = {"kind": Choice(("rms", "layer"))}
"""The parameter that says which norm."""

FUNCTIONS = {"rms": "rms_norm", "layer": "layer_norm"}
"""The function of `torch.nn.functional` for each kind."""


def function_name(action: Action) -> str:
    """The function of `torch.nn.functional` that an action asks for.

    Raises:
        ValueError: There is no such norm.
    """
    kind = str(action.params["kind"])
    if kind not in FUNCTIONS:
        raise ValueError(f"{action.name}: unknown norm {kind!r} (known: {', '.join(FUNCTIONS)})")
    return FUNCTIONS[kind]


def reporting_norm(program: Program, action: Action, path: str, side: str) -> Norm:
    """The norm that an action asks for; it reports when it has changed something.

    Args:
        program: Takes the report.
        action: Its parameter says which norm.
        path: The module.
        side: ``input`` or ``output`` of the module.
    """
    function = function_name(action)

    def norm(values: Tensor) -> Tensor:
        normed = normalised(values, function)
        if normed is not values:
            program.report(action, path, f"{function} on the {side} of {path}")
        return normed

    return norm


def normalised(values: Tensor, function: str) -> Tensor:
    """Each position of a tensor (..., features) normalised; a single number stays as it is."""
    from torch.nn import functional

    if values.dim() < 2 or values.shape[-1] < 2:
        return values
    result: Tensor = getattr(functional, function)(values, values.shape[-1:])
    return result
