"""What the remedies that put a norm somewhere have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor

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


def normalised(values: Tensor, function: str) -> Tensor:
    """Each position of a tensor (..., features) normalised; a single number stays as it is."""
    from torch.nn import functional

    if values.dim() < 2 or values.shape[-1] < 2:
        return values
    result: Tensor = getattr(functional, function)(values, values.shape[-1:])
    return result
