"""Takes a summand out of a sum."""

from __future__ import annotations

from typing import Any

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)
_NUMBERS = (cst.Integer, cst.Float)
_ACTS = (cst.Call, cst.NamedExpr, cst.Await)
"""What may do something else than compute a value."""


def drop(file: SourceFile, node: cst.BaseExpression, parent: cst.CSTNode) -> None:
    """Take out a summand.

    Args:
        file: The file.
        node: The summand.
        parent: The sum of two, or the augmented assignment, that it belongs to.

    Raises:
        Unwritable: Nothing that can be trained on would be left, or a comment is in the way.
    """
    if "#" in file.code(parent):
        raise Unwritable("there is a comment within the sum")
    if not isinstance(parent, cst.BinaryOperation):
        return remove(file, parent)
    kept = parent.right if parent.left is node else parent.left
    if isinstance(kept, _NUMBERS):
        raise Unwritable("only a number would be left of the loss")
    statement = next(iter(file.above(parent)))
    if isinstance(statement, cst.Assign) and is_itself(file, statement, kept):
        return remove(file, statement)
    alone = getattr(statement, "value", None) is parent and "\n" not in file.code(kept)
    file.edit(parent, lambda total: _rest(total, parent.left is node, alone))


def _rest(total: Any, keep_right: bool, alone: bool) -> cst.BaseExpression:
    if not isinstance(total, cst.BinaryOperation):
        raise Unwritable("two summands of the same sum cannot be taken out")
    kept = total.right if keep_right else total.left
    if keep_right and isinstance(total.operator, cst.Subtract):
        kept = cst.UnaryOperation(cst.Minus(), kept)
    if alone or isinstance(kept, _ATOMS):
        return kept
    return kept.with_changes(lpar=[*total.lpar, *kept.lpar], rpar=[*kept.rpar, *total.rpar])


def is_itself(file: SourceFile, statement: cst.Assign, kept: cst.BaseExpression) -> bool:
    """Whether ``loss = loss`` would be left."""
    target = statement.targets[0].target
    return len(statement.targets) == 1 and file.code(target) == file.code(kept)


def remove(file: SourceFile, statement: cst.CSTNode) -> None:
    """Take out a whole statement, and the condition that it alone depends on.

    Raises:
        Unwritable: It is not alone on its line, or is all that there is in its block.
    """
    line = next(file.above(statement))
    lines = cst.SimpleStatementLine | cst.SimpleStatementSuite
    if not isinstance(line, lines) or len(line.body) > 1:
        raise Unwritable("another statement is on the same line")
    block = next(file.above(line))
    while (condition := _all_of(file, line, block)) is not None:
        line, block = condition, next(file.above(condition))
    if not isinstance(block, cst.IndentedBlock | cst.Module) or len(block.body) < 2:
        raise Unwritable("nothing would be left of the block")
    file.edit(line, lambda _: cst.RemoveFromParent())


def _all_of(file: SourceFile, line: cst.CSTNode, block: cst.CSTNode) -> cst.If | None:
    """The ``if`` without a comment whose only block is this line, and that does nothing else."""
    if isinstance(line, cst.SimpleStatementSuite):
        found = block
    elif isinstance(block, cst.IndentedBlock) and len(block.body) == 1:
        found = next(file.above(block))
    else:
        return None
    if not isinstance(found, cst.If) or found.orelse or "#" in file.code(found):
        return None
    acts = any(isinstance(each, _ACTS) for each in file.everything(found.test))
    return None if acts else found
