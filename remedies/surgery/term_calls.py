"""Changes the call that computes a loss term."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cache
from types import FrameType
from typing import Any

from torch import Tensor
from torch.nn import functional

from probes.tap.scalars import Place, place_of
from probes.tap.terms import LossTerm
from remedies.surgery.program import Program
from remedies.treatment import Action

Change = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Takes the arguments of a call by name; gives those to be replaced."""


def change_term_calls(
    program: Program, action: Action, names: tuple[str, ...], detail: str, change: Change
) -> None:
    """Change arguments of the functions of `torch.nn.functional` that compute an action's targets.

    Which call computes a term is told by the first backward pass, so that the change begins with
    the forward pass after it.

    Args:
        program: The program.
        action: Its targets are the terms.
        names: Names of the functions.
        detail: What is reported.
        change: What to replace.
    """
    functions = {getattr(functional, name) for name in names}
    places: dict[tuple[Place, ...], str] = {}

    def learn(loss: Tensor, terms: list[LossTerm]) -> None:
        for term in terms:
            if term.name in action.targets and term.operation in names:
                places.update((scalar.places, term.name) for scalar in term.scalars)

    def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func not in functions or not places:
            return NotImplemented
        name = next((name for at, name in places.items() if _is_called_at(at)), None)
        if name is None:
            return NotImplemented
        bound = _signature(func).bind(*args, **kwargs)
        bound.apply_defaults()
        bound.arguments.update(change(dict(bound.arguments)))
        program.report(action, name, detail)
        return func(*bound.args, **bound.kwargs)

    program.on_backward(learn)
    program.rewrite_calls(rewrite)


@cache
def _signature(func: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(func)


def _is_called_at(places: tuple[Place, ...]) -> bool:
    """Whether these places of the user's code, innermost first, are what led here."""
    frame: FrameType | None = sys._getframe(1)
    rest = list(places)
    while frame is not None and rest:
        if frame.f_code is rest[0].code:
            if place_of(frame) != rest[0]:
                return False
            rest.pop(0)
        frame = frame.f_back
    return not rest
