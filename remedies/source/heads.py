"""Has an output layer speak in other units."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.numbers import literal


def in_units(files: Iterable[SourceFile], path: str, mean: float, deviation: float) -> None:
    """Multiply what a layer says, and add to it, where it is called.

    Args:
        files: The files of the program.
        path: The layer, an attribute of its model.
        mean: What is added.
        deviation: What it is multiplied by.

    Raises:
        Unwritable: It is not called once by its name.
    """
    name = path.rpartition(".")[2]
    calls = [
        (file, call)
        for file in files
        for call in file.nodes(cst.Call)
        if file.code(call.func) == f"self.{name}"
    ]
    if len(calls) != 1 or "#" in calls[0][0].code(calls[0][1]):
        raise Unwritable(f"{path} is not called once by its name")
    file, call = calls[0]
    shift = f" + {literal(mean)}" if mean >= 0 else f" - {literal(-mean)}"
    scaled = file.parse(f"{literal(deviation)} * {file.code(call)}{shift}")
    if not isinstance(next(file.above(call)), cst.Arg | cst.Assign | cst.Return):
        scaled = scaled.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    file.edit(call, lambda _: scaled)
