"""Writes the mean of a representation where the script adds noise to it."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_ADDING = {"add", "add_", "sub", "sub_"}
_ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)


def keep_mean(file: SourceFile, line: int, operand: int) -> None:
    """Leave nothing but the deterministic operand of the addition at a line.

    ``mean + eps * std``, ``eps.mul(std).add_(mean)`` and ``Normal(mean, std).rsample()`` can be
    written, where the line has one of them.

    Args:
        file: The file.
        line: The line.
        operand: Which operand is deterministic, 0 or 1.

    Raises:
        Unwritable: The line has none or several of them, or a comment is in the way.
    """
    found = list(_additions(file, line))
    if len(found) != 1 or "#" in file.code(found[0]):
        raise Unwritable(f"it is not clear what is added at line {line}")
    node = found[0]
    if isinstance(next(iter(file.above(node))), cst.Expr):
        raise Unwritable(f"line {line} adds in place")
    match node:
        case cst.BinaryOperation():
            _keep_operand(file, node, right=operand == 1)
        case cst.Call(func=cst.Attribute(attr=cst.Name(value="rsample"))):
            file.edit(node, lambda call: call.func.with_changes(attr=cst.Name("mean")))
        case cst.Call() if operand == 1:
            file.edit(node, lambda call: _tight(call.args[0].value))
        case _:
            file.edit(node, lambda call: _tight(call.func.value))


def _additions(file: SourceFile, line: int) -> Iterator[cst.BinaryOperation | cst.Call]:
    for node in file.everything():
        if not isinstance(node, cst.BinaryOperation | cst.Call):
            continue
        first, last = file.lines(node)
        if not first <= line <= last:
            continue
        match node:
            case cst.BinaryOperation(operator=cst.Add() | cst.Subtract()):
                yield node
            case cst.Call(func=cst.Attribute(attr=cst.Name(value="rsample")), args=[]):
                yield node
            case cst.Call(func=cst.Attribute(attr=cst.Name(value=name)), args=[_]) if (
                name in _ADDING
            ):
                yield node


def _keep_operand(file: SourceFile, node: cst.BinaryOperation, right: bool) -> None:
    if right and isinstance(node.operator, cst.Subtract):
        raise Unwritable("the noise is what is subtracted from")
    alone = isinstance(next(iter(file.above(node))), cst.Return | cst.Assign | cst.Arg)
    kept = node.right if right else node.left
    if not alone and not isinstance(kept, _ATOMS):
        raise Unwritable("what would be left needs brackets")
    file.edit(node, lambda total: total.right if right else total.left)


def _tight(value: cst.BaseExpression) -> cst.BaseExpression:
    if isinstance(value, _ATOMS):
        return value
    return value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
