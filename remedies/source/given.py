"""Follows an argument of a layer to the call that gives its value."""

from __future__ import annotations

import libcst as cst

from remedies.source.calls import CallSite
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile


def set_where_given(site: CallSite, name: str, code: str) -> None:
    """Give a parameter of the function that makes a layer another value.

    Args:
        site: The call that makes the layer, in the ``__init__`` of a class or in a function.
        name: The parameter, as it is written in the call.
        code: The value to give.

    Raises:
        Unwritable: It is no parameter of that function, or the function is not called once, with a
            number for it.
    """
    file = site.file
    function = file.scope(site.node)
    if not isinstance(function, cst.FunctionDef) or name not in _parameters(function):
        raise Unwritable(f"the share is computed: {name}")
    called = _name(file, function)
    calls = [c for c in file.nodes(cst.Call) if file.code(c.func) == called]
    given = [_given(call, name, _parameters(function)) for call in calls]
    if len(given) != 1 or not isinstance(given[0], cst.Float | cst.Integer):
        raise Unwritable(f"{called} is not called once with a number for {name}")
    new = file.parse(code)
    file.edit(given[0], lambda _: new)


def _name(file: SourceFile, function: cst.FunctionDef) -> str:
    """What is called to run a function: its class, for ``__init__``."""
    if function.name.value != "__init__":
        return function.name.value
    return next(up.name.value for up in file.above(function) if isinstance(up, cst.ClassDef))


def _parameters(function: cst.FunctionDef) -> list[str]:
    names = [each.name.value for each in function.params.params]
    return names[1:] if function.name.value == "__init__" else names


def _given(call: cst.Call, name: str, parameters: list[str]) -> cst.BaseExpression | None:
    for number, arg in enumerate(call.args):
        if arg.star:
            return None
        if name == (arg.keyword.value if arg.keyword else parameters[number]):
            return arg.value
    return None
