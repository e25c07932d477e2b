"""Moves the axis of the classes where a script reshapes it."""

from __future__ import annotations

import functools

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_METHODS = ("view", "reshape")
_ALONE = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)


def move(file: SourceFile, line: int, axis: int, dims: int, same: bool) -> None:
    """Move the axis of the classes in the place of a reshape, or before it.

    What is the same elsewhere in the file is written anew, too: the same expression, or another one
    that is reshaped to the same sizes for the same loss, as in an evaluation.

    Args:
        file: The file.
        line: The line that reshapes.
        axis: The axis of the classes in what it reshapes; -1 for the last.
        dims: How many dimensions it makes, the classes along the second one.
        same: Whether moving the axis there makes the very shape.

    Raises:
        Unwritable: It does not do so once and plainly.
    """
    calls = [call for call in file.nodes(cst.Call) if _reshaped(file, call)]
    found = [
        call
        for call in calls
        if file.lines(call.func)[1] == line and len(_sizes(file, call) or dims * "?") == dims
    ]
    if len(found) != 1:
        raise Unwritable(f"{file.path}:{line} reshapes {len(found)} times to {dims} dimensions")
    for call in calls:
        if _use(file, call) & _use(file, found[0]):
            file.edit(
                call, functools.partial(_put, file.parse(_moved(file, call, axis, dims, same)))
            )


def _put(new: cst.BaseExpression, old: cst.BaseExpression) -> cst.BaseExpression:
    return new


def _reshaped(file: SourceFile, call: cst.Call) -> cst.BaseExpression | None:
    """What a call reshapes, if it does."""
    first = call.args[0] if call.args else None
    if file.imported(call.func) == "torch.reshape":
        return first.value if first and not first.keyword and not first.star else None
    if isinstance(call.func, cst.Attribute) and call.func.attr.value in _METHODS:
        return call.func.value
    return None


def _arguments(file: SourceFile, call: cst.Call) -> str:
    """The sizes as they are given."""
    args = call.args[1:] if file.imported(call.func) else call.args
    return ", ".join(file.code(arg.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for arg in args)


def _sizes(file: SourceFile, call: cst.Call) -> list[str] | None:
    """The sizes one by one; None where they cannot be told."""
    sizes = file.parse(f"[{_arguments(file, call)}]")
    match sizes:
        case cst.List(elements=[cst.Element(value=cst.Tuple() | cst.List() as inner)]):
            sizes = inner
        case cst.List(elements=[cst.Element(value=cst.Name() | cst.Attribute() | cst.Call())]):
            return None
    elements = sizes.elements if isinstance(sizes, cst.List | cst.Tuple) else ()
    if any(isinstance(element, cst.StarredElement) for element in elements):
        return None
    return [file.code(element.value) for element in elements]


def _use(file: SourceFile, call: cst.Call) -> set[str]:
    """What tells two reshapes to be for the same: their text, or their sizes and the loss."""
    arg = next(file.above(call))
    user = next(file.above(arg))
    used = {file.code(call)}
    if isinstance(user, cst.Call) and user.args and user.args[0] is arg:
        used.add(f"{file.code(user.func)} of {_arguments(file, call)}")
    return used


def _moved(file: SourceFile, call: cst.Call, axis: int, dims: int, same: bool) -> str:
    """What to write for a reshape."""
    given = _reshaped(file, call)
    if "#" in file.code(call) or given is None:
        raise Unwritable("there is a comment in the reshape")
    code = file.code(given)
    if not isinstance(given, _ALONE) and not given.lpar:
        code = f"({code})"
    if same:
        return (
            f"{code}.transpose(1, 2)" if (axis, dims) == (-1, 3) else f"{code}.movedim({axis}, 1)"
        )
    moved = code if axis == -1 else f"{code}.movedim({axis}, -1)"
    if dims == 2:
        return f"{moved}.reshape({_arguments(file, call)})"
    sizes = _sizes(file, call)
    if sizes is None:
        raise Unwritable("the sizes that the scores are reshaped to cannot be told")
    batch, classes, *others = sizes
    return f"{moved}.reshape({', '.join((batch, *others, classes))}).movedim(-1, 1)"
