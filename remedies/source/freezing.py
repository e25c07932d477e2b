"""Turns an attribute that freezes nothing into the call that does."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile


def call_instead(file: SourceFile, line: int) -> None:
    """Write ``part.requires_grad_(False)`` where an attribute of a part is set to False.

    Args:
        file: The file.
        line: The line that sets it.

    Raises:
        Unwritable: The line is not a plain assignment of False to one attribute.
    """
    for assignment in file.nodes(cst.Assign):
        first, last = file.lines(assignment)
        part = _set_to_false(assignment)
        if first <= line <= last and part is not None:
            _replace(file, assignment, f"{file.code(part)}.requires_grad_(False)")
            return
    raise Unwritable(f"{file.path}:{line} is not a plain assignment of False")


def _replace(file: SourceFile, assignment: cst.Assign, code: str) -> None:
    call = cst.Expr(file.parse(code))
    file.edit(assignment, lambda _: call)


def _set_to_false(assignment: cst.Assign) -> cst.BaseExpression | None:
    """What an attribute of is set to False, where a statement does nothing else."""
    match assignment:
        case cst.Assign(
            targets=[cst.AssignTarget(target=cst.Attribute(value=part))],
            value=cst.Name(value="False"),
        ):
            return part
    return None
