"""Takes a softmax out of what a model computes."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_NAMES = ("torch.softmax", "torch.nn.functional.softmax")


def without_softmax(file: SourceFile, line: int) -> None:
    """Leave what goes into the softmax that a line computes.

    Args:
        file: The file.
        line: The line that calls it, as a method or a function.

    Raises:
        Unwritable: It does not do so once, or not over the classes.
    """
    found = [
        (call, value, dim)
        for call in file.nodes(cst.Call)
        if file.lines(call.func)[1] == line and (taken := _taken(file, call))
        for value, dim in [taken]
    ]
    if len(found) != 1:
        raise Unwritable(f"{file.path}:{line} does not call a softmax once")
    call, value, dim = found[0]
    if dim not in ("1", "-1") or "#" in file.code(call):
        raise Unwritable(f"{file.code(call)} is not over the classes, or has a comment in it")
    file.edit(call, lambda _: value)


def _taken(file: SourceFile, call: cst.Call) -> tuple[cst.BaseExpression, str] | None:
    """What a softmax is taken of, and over which dimension."""
    args = list(call.args)
    if file.imported(call.func) in _NAMES:
        if not args or args[0].keyword or args[0].star:
            return None
        value: cst.BaseExpression = args.pop(0).value
    elif isinstance(call.func, cst.Attribute) and call.func.attr.value == "softmax":
        value = call.func.value
    else:
        return None
    dims = [arg for arg in args if arg.keyword is None or arg.keyword.value == "dim"]
    return value, file.code(dims[0].value) if len(args) == len(dims) == 1 else ""
