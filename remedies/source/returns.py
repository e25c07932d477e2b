"""Puts a function of torch around what a function of the user's returns."""

from __future__ import annotations

import libcst as cst

from remedies.source.blocks import forward_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import functional_name

_RESULT = "output"


def wrap_return(file: SourceFile, line: int, function: str) -> None:
    """Have the ``forward`` that is defined at a line return a norm of what it returns now.

    Args:
        file: The file.
        line: First line of the definition.
        function: Function of `torch.nn.functional` that takes a tensor and the normalised shape.

    Raises:
        Unwritable: It does not have exactly one return at its end, or something is in the way.
    """
    name = f"{functional_name(file)}.{function}"
    statement = _only_return(file, forward_at(file, line))
    value = statement.value
    if value is None or "#" in file.code(statement):
        raise Unwritable("it is not clear what forward returns")
    if isinstance(value, cst.Name):
        wrapped = file.parse(f"{name}({value.value}, {value.value}.shape[-1:])")
        return file.edit(value, lambda _: wrapped)
    _name_the_result(file, statement, name)
    return None


def _only_return(file: SourceFile, forward: cst.FunctionDef) -> cst.Return:
    calls = [file.code(call.func) for call in file.nodes(cst.Call)]
    if "super().forward" in calls:
        raise Unwritable("a forward may be called by that of a subclass")
    own = [node for node in file.nodes(cst.Return, forward) if file.scope(node) is forward]
    yields = any(True for _ in file.nodes(cst.Yield, forward))
    body = forward.body.body
    last = body[-1] if body else None
    if len(own) != 1 or yields or not isinstance(last, cst.SimpleStatementLine):
        raise Unwritable("forward does not have exactly one return")
    if last.body[-1] is not own[0]:
        raise Unwritable("forward does not end with its return")
    return own[0]


def _name_the_result(file: SourceFile, statement: cst.Return, name: str) -> None:
    """Give what is returned a name first, so that it is computed once."""
    value = statement.value
    if value is None or isinstance(value, cst.Tuple | cst.Dict | cst.List):
        raise Unwritable("forward does not return a single tensor")
    if file.mentions(_RESULT):
        raise Unwritable(f"{_RESULT} is another thing in {file.path}")
    line = next(iter(file.above(statement)))
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1:
        raise Unwritable("another statement is on the same line")
    assigned = cst.Assign([cst.AssignTarget(cst.Name(_RESULT))], value)
    wrapped = file.parse(f"{name}({_RESULT}, {_RESULT}.shape[-1:])")
    returned = statement.with_changes(value=wrapped)

    def split(old: cst.SimpleStatementLine) -> cst.FlattenSentinel[cst.SimpleStatementLine]:
        first = cst.SimpleStatementLine([assigned], leading_lines=old.leading_lines)
        return cst.FlattenSentinel([first, old.with_changes(body=[returned], leading_lines=[])])

    file.edit(line, split)
