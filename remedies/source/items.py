"""Copies what a data set keeps where an item of it is read."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile


def copy_rows(file: SourceFile, line: int, attribute: str, method: str) -> None:
    """Write ``self.images[i].clone()`` for ``self.images[i]`` in the function at a line.

    Args:
        file: The file.
        line: The first line of the function that reads an item.
        attribute: What it takes a row of.
        method: What copies a row: ``clone`` of a tensor, ``copy`` of an array.

    Raises:
        Unwritable: It does not take exactly one row of it, by an assignment of its own.
    """
    functions = [node for node in file.nodes(cst.FunctionDef) if file.lines(node)[0] == line]
    found = [
        node
        for function in functions
        for node in file.nodes(cst.Subscript, function.body)
        if isinstance(node.value, cst.Attribute) and node.value.attr.value == attribute
    ]
    if len(found) != 1 or not isinstance(next(file.above(found[0])), cst.Assign):
        raise Unwritable(f"it is not clear where a row of {attribute} is taken")
    file.edit(found[0], lambda row: cst.Call(cst.Attribute(row, cst.Name(method))))
