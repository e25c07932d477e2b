"""Multiplies the gradient of a loss term where the term is computed."""

from __future__ import annotations

from typing import Any

import libcst as cst

from remedies.source.blocks import statement_at
from remedies.source.errors import Unwritable
from remedies.source.helpers import Helper
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
    info = source.trace.terms.get(name)
    if info is None or info.source is None:
        raise Unwritable(f"{name} was not seen")
    file, line = source.place(info.source)
    statement: Any = statement_at(file, line)
    match statement.body:
        case [cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=found))])] if (
            found == name
        ):
            code = f"{name}.register_hook(lambda gradient: {weight(factor)} * gradient)\n"
            return Helper(info.source, f"computes {name}", code)
    raise Unwritable(f"{info.source} does not just assign to {name}")
