"""Changes what a layer takes in or gives, where it is called by its name."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import written_name
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
    file, call = _call(files, path)
    shift = f" + {literal(mean)}" if mean >= 0 else f" - {literal(-mean)}"
    scaled = file.parse(f"{literal(deviation)} * {file.code(call)}{shift}")
    if not isinstance(next(file.above(call)), cst.Arg | cst.Assign | cst.Return):
        scaled = scaled.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    file.edit(call, lambda _: scaled)


def without_code(files: Iterable[SourceFile], path: str, code: float) -> None:
    """Put zeros in the place of a number that stands for missing values.

    Args:
        files: The files of the program.
        path: The layer that takes them in.
        code: The number.

    Raises:
        Unwritable: It is not called once by its name, with something that can be written twice.
    """
    file, call = _call(files, path)
    given = call.args[0].value if call.args else None
    if not isinstance(given, cst.Name | cst.Attribute) or len(call.args) > 1:
        raise Unwritable(f"what {path} is given is computed on the same line")
    where = written_name(file, "torch.where")
    own = file.code(given)
    masked = file.parse(f"{where}({own} == {code:g}, 0.0, {own})")
    file.edit(given, lambda _: masked)


def _call(files: Iterable[SourceFile], path: str) -> tuple[SourceFile, cst.Call]:
    """The one call of a module that its model has as an attribute."""
    name = path.rpartition(".")[2]
    calls = [
        (file, call)
        for file in files
        for call in file.nodes(cst.Call)
        if file.code(call.func) == f"self.{name}"
    ]
    if len(calls) != 1 or "#" in calls[0][0].code(calls[0][1]):
        raise Unwritable(f"{path} is not called once by its name")
    return calls[0]
