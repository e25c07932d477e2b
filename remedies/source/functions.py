"""Calls another function at a line, or none."""

from __future__ import annotations

import libcst as cst

from remedies.source.calls import CallSite, calls_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import functional_name
from remedies.source.numbers import times


def replace(file: SourceFile, line: int, operation: str, name: str) -> None:
    """Call ``name`` of `torch.nn.functional` where a line calls an activation.

    Args:
        file: The file.
        line: Line of the calls.
        operation: Name of the function that is called now, of one argument.
        name: Name of the other function.

    Raises:
        Unwritable: It is not called by its name there, or with more arguments.
    """
    names = (f"torch.{operation}", f"torch.nn.functional.{operation}")
    calls = [call for full in names for call in calls_at(file, line, full)]
    methods = [
        call
        for call in file.nodes(cst.Call)
        if file.lines(call.func)[1] == line
        and isinstance(call.func, cst.Attribute)
        and call.func.attr.value.rstrip("_") == operation
        and call not in calls
    ]
    if not calls or methods:
        raise Unwritable(f"line {line} does not call {operation} by its name")
    if any(len(call.args) != 1 or call.args[0].keyword or call.args[0].star for call in calls):
        raise Unwritable(f"{operation} is called with more than a tensor")
    written = f"{functional_name(file)}.{name}"
    for call in calls:
        file.edit(call.func, lambda _: file.parse(written))


def limit(file: SourceFile, line: int, operation: str, method: str) -> None:
    """Have a function at a line take a limited argument: ``log(x.clamp(min=1e-6))``.

    Args:
        file: The file.
        line: Line of the call.
        operation: Name of a function of torch with one argument, also known as a method.
        method: What to call on the argument first.

    Raises:
        Unwritable: There is not exactly one such call on the line.
    """
    named = calls_at(file, line, f"torch.{operation}")
    methods = [
        call
        for call in file.nodes(cst.Call)
        if file.lines(call.func)[1] == line
        and isinstance(call.func, cst.Attribute)
        and call.func.attr.value == operation
        and call not in named
    ]
    if len(named) + len(methods) != 1:
        raise Unwritable(f"line {line} does not call {operation} exactly once")
    call = (named + methods)[0]
    if named and (len(call.args) != 1 or call.args[0].keyword or call.args[0].star):
        raise Unwritable(f"the argument of {operation} cannot be told")
    target = call.args[0].value if named else cst.ensure_type(call.func, cst.Attribute).value
    limited = cst.ensure_type(file.parse(f"x.{method}"), cst.Call)

    def put(old: cst.BaseExpression) -> cst.Call:
        function = cst.ensure_type(limited.func, cst.Attribute)
        return limited.with_changes(func=function.with_changes(value=_enclosed(old)))

    file.edit(target, put)


def scale(file: SourceFile, line: int, operation: str, factor: float) -> None:
    """Have a function at a line take its first argument multiplied by a factor.

    Args:
        file: The file.
        line: Line of the call.
        operation: Name of a function of torch that is also known as a method.
        factor: By what.

    Raises:
        Unwritable: There is not exactly one such call on the line.
    """
    _, target = call_at(file, line, operation)
    code = file.code(target)
    if "#" in code:
        raise Unwritable("there is a comment in the argument")
    scaled = file.parse(times(code, factor))
    alone = isinstance(next(file.above(target)), cst.Arg)
    file.edit(target, lambda _: scaled if alone else _enclosed(scaled))


def drop(file: SourceFile, line: int, operation: str) -> None:
    """Leave out a function at a line: what it is given stays.

    Args:
        file: The file.
        line: Line of the call.
        operation: Name of a function of torch that is also known as a method.

    Raises:
        Unwritable: There is not exactly one such call on the line.
    """
    call, argument = call_at(file, line, operation)
    if "#" in file.code(call):
        raise Unwritable("there is a comment in the call")
    alone = isinstance(next(file.above(call)), cst.Arg | cst.Assign | cst.Return)
    file.edit(call, lambda _: argument if alone else _enclosed(argument))


def set_axis(file: SourceFile, line: int, operation: str, axis: int) -> None:
    """Have a function at a line work along another axis.

    Args:
        file: The file.
        line: Line of the call.
        operation: Name of a function of torch whose axis comes second; also known as a method.
        axis: Which one.

    Raises:
        Unwritable: There is not exactly one such call on the line.
    """
    call, argument = call_at(file, line, operation)
    is_method = isinstance(call.func, cst.Attribute) and call.func.value is argument
    signature = ("dim",) if is_method else ("input", "dim")
    CallSite(file, call, operation).set("dim", str(axis), *signature)


def call_at(file: SourceFile, line: int, operation: str) -> tuple[cst.Call, cst.BaseExpression]:
    """The one call at a line, and its first argument; of a method, what it is called on.

    Raises:
        Unwritable: There is not exactly one, or its argument cannot be told.
    """
    names = (f"torch.{operation}", f"torch.nn.functional.{operation}")
    named = [call for name in names for call in calls_at(file, line, name)]
    methods = [
        (call, call.func.value)
        for call in file.nodes(cst.Call)
        if isinstance(call.func, cst.Attribute)
        and file.lines(call.func)[1] == line
        and call.func.attr.value == operation
        and call not in named
    ]
    if len(named) + len(methods) != 1:
        raise Unwritable(f"line {line} does not call {operation} exactly once")
    if methods:
        return methods[0]
    first = named[0].args[0] if named[0].args else None
    if first is None or first.star or first.keyword:
        raise Unwritable(f"the argument of {operation} cannot be told")
    return named[0], first.value


def _enclosed(node: cst.BaseExpression) -> cst.BaseExpression:
    """An expression that an attribute can follow."""
    if isinstance(node, cst.Name | cst.Call | cst.Attribute | cst.Subscript) or node.lpar:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
