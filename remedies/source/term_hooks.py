"""Multiplies the gradient of a loss term where the term is computed."""

from __future__ import annotations

from typing import Any

import libcst as cst

from remedies.source.blocks import statement_at
from remedies.source.errors import Unwritable
from remedies.source.helpers import Helper, optimizer_of
from remedies.source.numbers import weight
from remedies.source.source import Source


def scaled(source: Source, name: str, factor: float) -> Helper:
    """A helper that multiplies a term's gradient; what the script prints stays what it is.

    Args:
        source: The user's files.
        name: The term.
        factor: By what.

    Raises:
        Unwritable: The line that computes the term does not assign it to a variable of that name.
    """
    code = f"{name}.register_hook(lambda gradient: {weight(factor)} * gradient)\n"
    return Helper(_place(source, name), f"computes {name}", code)


def grown(source: Source, name: str, steps: float) -> Helper:
    """A helper that lets a term's gradient grow from nothing.

    Args:
        source: The user's files.
        name: The term.
        steps: How often it is computed until its gradient is whole.

    Raises:
        Unwritable: See `scaled`; or the optimizer, which keeps the count, is made elsewhere.
    """
    place, optimizer = _place(source, name), optimizer_of(source)
    if not source.same_scope(place, optimizer.place):
        raise Unwritable("the optimizer is made elsewhere")
    owner = optimizer.name
    code = (
        f'{owner}.losses = getattr({owner}, "losses", -1) + 1\n'
        f"{name}.register_hook(\n"
        f"    lambda gradient, share=min(1.0, {owner}.losses / {steps:g}): share * gradient\n)\n"
    )
    return Helper(place, f"computes {name}", code, optimizer.exact)


def _place(source: Source, name: str) -> str:
    """The line that assigns a term to a variable of its name."""
    info = source.trace.terms.get(name)
    if info is None or info.source is None:
        raise Unwritable(f"{name} was not seen")
    statement: Any = statement_at(*source.place(info.source))
    match statement.body:
        case [cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=found))])] if (
            found == name
        ):
            return info.source
    raise Unwritable(f"{info.source} does not just assign to {name}")
