"""Finds where the optimizers of a script are made."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from remedies.source.calls import CallSite
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_ABSOLUTE = {"OneCycleLR", "CyclicLR"}
"""Schedules that set rates of their own, whatever the optimizer was given."""


def optimizer_calls(files: Iterable[SourceFile]) -> list[CallSite]:
    """All calls that make an optimizer of torch.

    Raises:
        Unwritable: There are none, or the learning rate is set elsewhere, too.
    """
    found = []
    for file in files:
        _check_rates(file)
        for call in file.nodes(cst.Call):
            name = file.imported(call.func) or ""
            package, _, kind = name.rpartition(".")
            if package == "torch.optim" and kind[:1].isupper():
                found.append(CallSite(file, call, name))
            elif _looks_like_one(call):
                raise Unwritable(f"{file.code(call.func)} may make an optimizer, too")
    if not found:
        raise Unwritable("no optimizer is made in the script")
    return found


def _check_rates(file: SourceFile) -> None:
    assigned = [target.target for target in file.nodes(cst.AssignTarget)]
    assigned += [node.target for node in file.nodes(cst.AugAssign)]
    for target in assigned:
        if isinstance(target, cst.Subscript) and _is_rate(target.slice[0]):
            raise Unwritable("the script sets the learning rate itself")
    for group in file.nodes(cst.Dict):
        keys = [item.key for item in group.elements if isinstance(item, cst.DictElement)]
        if {"params", "lr"} <= {_text(key) for key in keys}:
            raise Unwritable("a parameter group has a learning rate of its own")
    for name in file.nodes(cst.Name):
        if name.value in _ABSOLUTE:
            raise Unwritable(f"{name.value} sets the learning rate itself")


def _is_rate(element: cst.SubscriptElement) -> bool:
    index = element.slice
    return isinstance(index, cst.Index) and _text(index.value) == "lr"


def _text(node: cst.BaseExpression) -> object:
    return node.evaluated_value if isinstance(node, cst.SimpleString) else None


def _looks_like_one(call: cst.Call) -> bool:
    keywords = {arg.keyword.value for arg in call.args if arg.keyword is not None}
    return "lr" in keywords and any(
        isinstance(node, cst.Name) and "param" in node.value
        for arg in call.args
        for node in _all(arg)
    )


def _all(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _all(child)
