"""Changes the settings of one parameter group."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.numbers import times


def scale_group(files: Iterable[SourceFile], number: int, count: int, factor: float) -> None:
    """Multiply the learning rate of a parameter group, where the groups are listed.

    Args:
        files: The files of the program.
        number: Which group, from 0.
        count: How many groups there are.
        factor: By what.

    Raises:
        Unwritable: There is not one list of so many groups, or the group has no rate of its own.
    """
    lists = [
        (file, node)
        for file in files
        for node in file.nodes(cst.List)
        if len(node.elements) == count and all(_is_group(each.value) for each in node.elements)
    ]
    if len(lists) != 1:
        raise Unwritable(f"{len(lists)} lists of {count} parameter groups were found")
    file, groups = lists[0]
    rates = [e.value for e in _entries(groups.elements[number].value) if _text(e.key) == "lr"]
    if len(rates) != 1:
        raise Unwritable(f"the parameter group {number} has no learning rate of its own")
    value = file.parse(times(file.code(rates[0]), factor))
    file.edit(rates[0], lambda _: value)


def _is_group(node: cst.BaseExpression) -> bool:
    return "params" in [_text(entry.key) for entry in _entries(node)]


def _entries(node: cst.BaseExpression) -> list[cst.DictElement]:
    entries = node.elements if isinstance(node, cst.Dict) else ()
    return [entry for entry in entries if isinstance(entry, cst.DictElement)]


def _text(node: cst.BaseExpression) -> object:
    return node.evaluated_value if isinstance(node, cst.SimpleString) else None
