"""Reshapes in the user's file: what they are given, and axes that are moved before them."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_METHODS = ("view", "reshape")
_ALONE = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)


def reshaped(file: SourceFile, call: cst.Call) -> cst.BaseExpression | None:
    """What a call reshapes, if it does."""
    first = call.args[0] if call.args else None
    if file.imported(call.func) == "torch.reshape":
        return first.value if first and not first.keyword and not first.star else None
    if isinstance(call.func, cst.Attribute) and call.func.attr.value in _METHODS:
        return call.func.value
    return None


def arguments(file: SourceFile, call: cst.Call) -> str:
    """The sizes as they are given."""
    args = call.args[1:] if file.imported(call.func) else call.args
    return ", ".join(file.code(arg.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for arg in args)


def operand(file: SourceFile, call: cst.Call) -> str:
    """What a call reshapes, as it can be written before a dot.

    Raises:
        Unwritable: There is a comment in the call, or it is no reshape.
    """
    given = reshaped(file, call)
    if "#" in file.code(call) or given is None:
        raise Unwritable("there is a comment in the reshape")
    code = file.code(given)
    return code if isinstance(given, _ALONE) or given.lpar else f"({code})"


def move_first(file: SourceFile, line: int, axis: int) -> None:
    """Move an axis to the front before the reshape at a line.

    Raises:
        Unwritable: There is not exactly one.
    """
    calls = [call for call in file.nodes(cst.Call) if reshaped(file, call)]
    found = [call for call in calls if file.lines(call.func)[1] == line]
    if len(found) != 1:
        raise Unwritable(f"{file.path}:{line} reshapes {len(found)} times")
    moved = f"{operand(file, found[0])}.movedim({axis}, 0)"
    new = file.parse(f"{moved}.reshape({arguments(file, found[0])})")
    file.edit(found[0], lambda _: new)
