"""Whether a value is trained on: follows it to ``backward``, or out of the function."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from remedies.source.file import SourceFile

_BACKWARD = {"backward", "manual_backward"}
_UNTRAINED = {"no_grad", "inference_mode"}


def is_trained_on(
    file: SourceFile, statement: cst.BaseSmallStatement, line: int | None = None
) -> bool:
    """Whether what a statement computes is what the training minimises, as far as can be told.

    Args:
        file: The file.
        statement: An assignment, a return, or an expression.
        line: A line that must be in the same function where the value is returned from it.
    """
    scope = file.scope(statement)
    blocks = [up for up in file.above(statement) if isinstance(up, cst.With)]
    if any(_identifiers(file, item) & _UNTRAINED for block in blocks for item in block.items):
        return False
    ends: list[cst.CSTNode] = [c for c in file.nodes(cst.Call, scope) if _name(c) in _BACKWARD]
    if not ends:
        first, last = file.lines(scope)
        if line is not None and not first <= line <= last:
            return False
        if _identifiers(file, scope) & _UNTRAINED:
            return False
        ends = list(file.nodes(cst.Return, scope))
    if isinstance(statement, cst.Return | cst.Expr):
        return any(node in ends for node in file.everything(statement))
    used = {name for end in ends for name in _identifiers(file, end)}
    return bool(_targets(statement) & _sources(file, scope, used))


def _sources(file: SourceFile, scope: cst.CSTNode, used: set[str]) -> set[str]:
    """The variables that these are computed from, directly or not."""
    assignments = [
        (_targets(node), _identifiers(file, node.value))
        for node in file.everything(scope)
        if isinstance(node, cst.Assign | cst.AnnAssign | cst.AugAssign) and node.value
    ]
    before = -1
    while before < len(used):
        before = len(used)
        for targets, values in assignments:
            used = used | values if targets & used else used
    return used


def _targets(statement: cst.CSTNode) -> set[str]:
    """The names that a statement assigns to; of ``self.loss``, ``loss``."""
    match statement:
        case cst.Assign():
            places: list[cst.BaseExpression] = [target.target for target in statement.targets]
        case cst.AnnAssign() | cst.AugAssign():
            places = [statement.target]
        case _:
            return set()
    return {name for place in places for name in _bound(place)}


def _bound(place: cst.BaseExpression) -> Iterator[str]:
    match place:
        case cst.Name(value=name) | cst.Attribute(attr=cst.Name(value=name)):
            yield name
        case cst.Subscript():
            yield from _bound(place.value)
        case cst.Tuple() | cst.List():
            for element in place.elements:
                yield from _bound(element.value)


def _identifiers(file: SourceFile, root: cst.CSTNode) -> set[str]:
    return {node.value for node in file.nodes(cst.Name, root)}


def _name(call: cst.Call) -> str:
    match call.func:
        case cst.Name(value=name) | cst.Attribute(attr=cst.Name(value=name)):
            return name
    return ""
