"""Factors as a person writes them."""

from __future__ import annotations

import ast
import re

from remedies.source.errors import Unwritable


def literal(value: float) -> str:
    """A number with three significant digits.

    >>> literal(0.00040012), literal(0.012), literal(3e-5), literal(1500)
    ('0.0004', '0.012', '3e-5', '1500.0')
    """
    return re.sub(r"e([+-])0*(?=\d)", r"e\1", repr(float(f"{value:.3g}"))).replace("e+", "e")


def weight(factor: float) -> str:
    """A factor before something else.

    >>> weight(6.0), weight(0.1)
    ('6', '0.1')
    """
    return literal(factor).removesuffix(".0")


def times(code: str, factor: float) -> str:
    """An expression multiplied by a factor.

    >>> times("2e-3", 0.1), times("args.lr", 0.1), times("lr or 1", 0.1)
    ('0.0002', '0.1 * args.lr', '0.1 * (lr or 1)')

    Raises:
        Unwritable: The expression is zero, or no number can be made of it.
    """
    node = ast.parse(f"({code}\n)", mode="eval").body
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, int | float) or not node.value:
            raise Unwritable(f"{code} cannot be multiplied")
        return literal(node.value * factor)
    atom = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    return f"{weight(factor)} * {code}" if atom else f"{weight(factor)} * ({code})"
