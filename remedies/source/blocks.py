"""Statements at the head of a block, and what is around or defined at a line."""

from __future__ import annotations

from typing import Any

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

Loop = cst.For | cst.While


def loops_around(file: SourceFile, line: int) -> list[Loop]:
    """The loops of one function that contain a line, the innermost first.

    Raises:
        Unwritable: There is none.
    """
    statement = statement_at(file, line)
    scope = file.scope(statement)
    loops = [up for up in file.above(statement) if isinstance(up, Loop) and file.scope(up) is scope]
    if not loops:
        raise Unwritable(f"{file.path}:{line} is in no loop")
    return loops


def put_first(file: SourceFile, owner: Loop | cst.FunctionDef, code: str) -> None:
    """Write a statement at the head of a loop's or a function's block, behind its docstring.

    Raises:
        Unwritable: The block is on the same line.
    """
    if not isinstance(owner.body, cst.IndentedBlock):
        raise Unwritable("a loop is written on one line")
    documented = isinstance(owner, cst.FunctionDef) and owner.get_docstring() is not None
    new = cst.parse_statement(code, config=file.tree.config_for_parsing)

    def put(block: Any) -> Any:
        statements = list(block.body)
        statements.insert(int(documented), new)
        return block.with_changes(body=statements)

    file.edit(owner.body, put)


def put_before(file: SourceFile, statement: cst.CSTNode, code: str) -> None:
    """Write a statement before another, behind what is said above it."""
    new = cst.parse_statement(code, config=file.tree.config_for_parsing)

    def put(old: Any) -> Any:
        first, *others = _each(old)
        above = new.with_changes(leading_lines=first.leading_lines)
        return cst.FlattenSentinel([above, first.with_changes(leading_lines=[]), *others])

    file.edit(statement, put)


def put_after(file: SourceFile, statement: cst.CSTNode, code: str) -> None:
    """Write statements behind another."""
    tree = cst.parse_module(code, config=file.tree.config_for_parsing)
    new = [_unspaced(statement) for statement in tree.body]
    file.edit(statement, lambda old: cst.FlattenSentinel([*_each(old), *new]))


def _each(old: Any) -> list[Any]:
    """A statement, with those that earlier edits put beside it."""
    return list(old) if isinstance(old, cst.FlattenSentinel) else [old]


def _unspaced(statement: Any) -> Any:
    """Without spaces on the empty lines above it."""
    lines = [
        line if line.comment else line.with_changes(indent=False)
        for line in statement.leading_lines
    ]
    return statement.with_changes(leading_lines=lines)


def statement_at(file: SourceFile, line: int) -> cst.SimpleStatementLine:
    """The simple statement that a line is part of.

    Raises:
        Unwritable: There is none.
    """
    for statement in file.nodes(cst.SimpleStatementLine):
        first, last = file.lines(statement)
        if first <= line <= last:
            return statement
    raise Unwritable(f"{file.path}:{line} is no statement")


def forward_at(file: SourceFile, line: int) -> cst.FunctionDef:
    """The ``forward`` that is defined at a line.

    Raises:
        Unwritable: There is none, or it is decorated.
    """
    for node in file.nodes(cst.FunctionDef):
        if node.name.value == "forward" and file.lines(node)[0] == line and not node.decorators:
            return node
    raise Unwritable(f"no forward is defined at line {line}")
