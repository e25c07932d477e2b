"""Moves the axis of the classes where a script reshapes it."""

from __future__ import annotations

import functools

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.reshapes import arguments, operand, reshaped


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
    calls = [call for call in file.nodes(cst.Call) if reshaped(file, call)]
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


def _sizes(file: SourceFile, call: cst.Call) -> list[str] | None:
    """The sizes one by one; None where they cannot be told."""
    sizes = file.parse(f"[{arguments(file, call)}]")
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
        used.add(f"{file.code(user.func)} of {arguments(file, call)}")
    return used


def _moved(file: SourceFile, call: cst.Call, axis: int, dims: int, same: bool) -> str:
    """What to write for a reshape."""
    code = operand(file, call)
    if same:
        return (
            f"{code}.transpose(1, 2)" if (axis, dims) == (-1, 3) else f"{code}.movedim({axis}, 1)"
        )
    moved = code if axis == -1 else f"{code}.movedim({axis}, -1)"
    if dims == 2:
        return f"{moved}.reshape({arguments(file, call)})"
    sizes = _sizes(file, call)
    if sizes is None:
        raise Unwritable("the sizes that the scores are reshaped to cannot be told")
    batch, classes, *others = sizes
    return f"{moved}.reshape({', '.join((batch, *others, classes))}).movedim(-1, 1)"
