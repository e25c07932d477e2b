"""Has the prediction of each token compared with the token behind it."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_FLAT = ("reshape", "view", "flatten")
_CHAIN = (*_FLAT, "contiguous", "transpose", "permute")


def shift(file: SourceFile, line: int) -> None:
    """Leave the last prediction and the first label of each sequence out of a loss.

    Args:
        file: The file.
        line: The line: it calls a loss with predictions, shaped (batch, time, classes) before they
            are flattened or turned, and labels, shaped (batch, time) before they are flattened.

    Raises:
        Unwritable: There is not exactly one such call.
    """
    found = [
        call
        for call in file.nodes(cst.Call)
        if line in file.lines(call.func)
        and len(call.args) > 1
        and not any(arg.keyword or arg.star for arg in call.args[:2])
        and all(_chain(arg.value) for arg in call.args[:2])
    ]
    if len(found) != 1:
        raise Unwritable(f"{file.path}:{line} flattens for {len(found)} losses")
    for arg, part in zip(found[0].args[:2], (":-1", "1:"), strict=True):
        _cut(file, arg.value, part)


def _chain(node: cst.BaseExpression) -> list[cst.Call]:
    """The methods that reshape a tensor, the last first; none where nothing is flattened."""
    calls: list[cst.Call] = []
    while (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value in _CHAIN
    ):
        calls.append(node)
        node = node.func.value
    known = isinstance(node, cst.Name | cst.Attribute | cst.Call | cst.Subscript)
    return calls if known and any(_method(call) in _FLAT for call in calls) else []


def _method(call: cst.Call) -> str:
    return call.func.attr.value if isinstance(call.func, cst.Attribute) else ""


def _cut(file: SourceFile, node: cst.BaseExpression, part: str) -> None:
    """Take a part of the sequences before they are flattened."""
    calls = _chain(node)
    innermost = calls[-1].func
    assert isinstance(innermost, cst.Attribute)
    new = file.parse(f"{file.code(innermost.value)}[:, {part}]")
    file.edit(innermost.value, lambda _: new)
    for call in calls:
        if _method(call) == "view":  # Of a part, it would be an error.
            assert isinstance(call.func, cst.Attribute)
            file.edit(call.func.attr, lambda _: cst.Name("reshape"))
