"""Gives the two sides of a loss the same shape."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_FUNCTIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_CLASSES = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")
_Sides = tuple[cst.BaseExpression, cst.BaseExpression]


def align(file: SourceFile, line: int) -> None:
    """Reshape one side of a loss to the other, at the line that computes it.

    It is the second side where the first one is computed before the line, and the first otherwise.

    Args:
        file: The file.
        line: The line: it calls a regression loss of torch, or takes a difference; or a product
            where it does neither.

    Raises:
        Unwritable: There is not exactly one, or neither side is a plain name.
    """
    pairs = _pairs(file, line, cst.Subtract) or _pairs(file, line, cst.Multiply)
    if len(pairs) != 1:
        raise Unwritable(f"{file.path}:{line} compares {len(pairs)} times")
    one, other = pairs[0]
    if _is_plain(one):
        _reshape(file, other, one)
    elif _is_plain(other):
        _reshape(file, one, other)
    else:
        raise Unwritable("both sides of the loss are computed on its line")


def _pairs(file: SourceFile, line: int, operator: type[cst.BaseBinaryOp]) -> list[_Sides]:
    return [
        pair
        for node in file.everything()
        if isinstance(node, cst.Call | cst.BinaryOperation)
        and line in file.lines(node.func if isinstance(node, cst.Call) else node)
        and (pair := _pair(file, node, operator))
    ]


def _pair(
    file: SourceFile, node: cst.Call | cst.BinaryOperation, operator: type[cst.BaseBinaryOp]
) -> _Sides | None:
    match node:
        case cst.BinaryOperation(left=one, operator=does, right=other) if isinstance(
            does, operator
        ):
            numbers = (cst.Integer, cst.Float, cst.UnaryOperation)
            return None if isinstance(one, numbers) or isinstance(other, numbers) else (one, other)
        case cst.Call(
            args=[
                cst.Arg(value=one, keyword=None, star=""),
                cst.Arg(value=other, keyword=None, star=""),
                *_,
            ]
        ) if _is_loss(file, node):
            return one, other
    return None


def _is_loss(file: SourceFile, call: cst.Call) -> bool:
    """Whether a loss is called: a function, or what one of the classes has made."""
    if file.imported(call.func) in {f"torch.nn.functional.{name}" for name in _FUNCTIONS}:
        return True
    made = file.assigned_to(file.code(call.func))
    names = {f"torch.nn.{name}" for name in _CLASSES}
    return bool(made) and all(
        isinstance(value, cst.Call) and file.imported(value.func) in names for value in made
    )


def _is_plain(node: cst.BaseExpression) -> bool:
    """Whether an expression can be written twice."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name)


def _reshape(file: SourceFile, side: cst.BaseExpression, like: cst.BaseExpression) -> None:
    if "#" in file.code(side):
        raise Unwritable("there is a comment in the loss")
    code = file.code(side)
    if not isinstance(side, cst.Name | cst.Attribute | cst.Call | cst.Subscript) and not side.lpar:
        code = f"({code})"
    new = file.parse(f"{code}.reshape_as({file.code(like)})")
    file.edit(side, lambda _: new)
