"""Finds where a loss term goes into the loss, and changes its share in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from remedies.source.file import SourceFile
from remedies.source.flow import is_trained_on
from remedies.source.numbers import times, weight

_SUMS = (cst.Add, cst.Subtract)
_ADDED = (cst.AddAssign, cst.SubtractAssign)
_LINEAR_CALLS = {"mean", "sum", "scale", "backward", "manual_backward"}


@dataclass(frozen=True)
class Part:
    """What is added to the loss: a term and its weight.

    Attributes:
        file: The file that it is in.
        node: The term times its weight.
        parent: The sum, or the assignment, that it is an operand of.
        summand: Whether it is one of several summands.
    """

    file: SourceFile
    node: cst.BaseExpression
    parent: cst.CSTNode
    summand: bool


def parts(file: SourceFile, name: str, line: int | None) -> Iterator[Part]:
    """The places of a file in which a term goes into a loss that is trained on.

    Args:
        file: The file.
        name: Name of the term.
        line: The line that computed the term, if it is in this file.
    """
    for reference in _references(file, name, line):
        node, parent = _product(file, reference)
        in_sum = isinstance(parent, cst.BinaryOperation) and isinstance(parent.operator, _SUMS)
        if not in_sum and getattr(parent, "value", None) is not node:
            continue
        statement = _statement(file, parent if in_sum else node)
        if statement is None or not is_trained_on(file, statement, _line_of(reference, line)):
            continue
        added = isinstance(parent, cst.AugAssign)
        if in_sum or added or isinstance(parent, cst.Assign | cst.AnnAssign):
            yield Part(file, node, parent, summand=in_sum or added)


def _line_of(reference: cst.BaseExpression, line: int | None) -> int | None:
    """The line that must be in the function, where a variable can be any function's own."""
    return None if isinstance(reference, cst.Call) else (line or -1)


def _references(file: SourceFile, name: str, line: int | None) -> Iterator[cst.BaseExpression]:
    for node in file.everything():
        match node:
            case (
                cst.Name(value=found)
                | cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=found))
            ) if found == name:
                yield node
            case cst.Subscript(
                slice=[cst.SubscriptElement(slice=cst.Index(value=cst.SimpleString() as key))]
            ) if key.evaluated_value == name:
                yield node
            case cst.Call(
                func=cst.Name(value=found) | cst.Attribute(attr=cst.Name(value=found))
            ) if found == name and (
                file.lines(node.func)[1] == line or _is_made_by(file, name, line)
            ):
                yield node


def _is_made_by(file: SourceFile, name: str, line: int | None) -> bool:
    """Whether the term has its name from the function that returned it."""
    named = [d for d in file.nodes(cst.FunctionDef) if d.name.value == name]
    inside = [d for d in named if line and file.lines(d)[0] <= line <= file.lines(d)[1]]
    return bool(inside) or (line is None and not named)


def _product(file: SourceFile, node: cst.BaseExpression) -> tuple[cst.BaseExpression, cst.CSTNode]:
    """The largest product that a term is a factor of, and what that is part of."""
    for parent in file.above(node):
        match parent:
            case cst.BinaryOperation(operator=cst.Multiply()):
                node = parent
            case cst.BinaryOperation(operator=cst.Divide()) if parent.left is node:
                node = parent
            case cst.UnaryOperation(operator=cst.Minus() | cst.Plus()):
                node = parent
            case _:
                return node, parent
    raise AssertionError("the file itself contains every expression")


def _statement(file: SourceFile, node: cst.CSTNode) -> cst.BaseSmallStatement | None:
    """The statement that an expression goes into, if all on the way to it is linear."""
    for parent in file.above(node):
        match parent:
            case cst.Assign() | cst.AnnAssign() | cst.AugAssign() | cst.Return() | cst.Expr():
                return parent
            case cst.BinaryOperation(operator=cst.Add() | cst.Subtract() | cst.Multiply()):
                pass
            case cst.BinaryOperation(operator=cst.Divide()) if parent.left is node:
                pass
            case cst.UnaryOperation(operator=cst.Minus() | cst.Plus()) | cst.Arg(keyword=None):
                pass
            case cst.Attribute() if parent.attr.value in _LINEAR_CALLS:
                pass
            case cst.Call(func=cst.Attribute(attr=cst.Name(value=name))) if name in _LINEAR_CALLS:
                pass
            case _:
                return None
        node = parent
    return None


def scale(part: Part, factor: float) -> None:
    """Multiply the constant weight of a term, or give it one."""
    file = part.file
    constant = next(_constants(part.node), None)
    if constant is not None:
        number = file.parse(times(file.code(constant), factor))
        file.edit(constant, lambda _: number)
        return
    node = part.node
    while isinstance(node, cst.UnaryOperation):
        node = node.expression
    number = file.parse(weight(factor))
    file.edit(node, lambda old: cst.BinaryOperation(number, cst.Multiply(), old))


def _constants(node: cst.BaseExpression) -> Iterator[cst.Integer | cst.Float]:
    """Numbers among the factors of a product."""
    match node:
        case cst.Integer() | cst.Float():
            yield node
        case cst.UnaryOperation():
            yield from _constants(node.expression)
        case cst.BinaryOperation(operator=cst.Multiply()):
            yield from _constants(node.left)
            yield from _constants(node.right)
        case cst.BinaryOperation(operator=cst.Divide()):
            yield from _constants(node.left)
