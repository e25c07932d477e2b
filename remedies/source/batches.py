"""Has every step take the next batch."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from remedies.source.blocks import Loop
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_NAME = "batches"


def advance(files: Iterable[SourceFile]) -> None:
    """Make the iterator of ``next(iter(loader))`` before the loop, and anew at its end.

    Raises:
        Unwritable: There is not one such call, in an assignment of its own in a loop.
    """
    found = [
        (file, call, loader)
        for file in files
        for call in file.nodes(cst.Call)
        if (loader := _loader(file, call))
    ]
    if len(found) != 1:
        raise Unwritable(f"next(iter(loader)) is called in {len(found)} places")
    file, call, loader = found[0]
    up = list(file.above(call))
    statement, line = up[0], up[1]
    loops = [each for each in up if isinstance(each, Loop) and file.scope(each) is file.scope(call)]
    plain = isinstance(statement, cst.Assign) and isinstance(line, cst.SimpleStatementLine)
    if not plain or not loops or "#" in file.code(statement) or file.mentions(_NAME):
        raise Unwritable("the batch is not taken by an assignment of its own in a loop")
    config = file.tree.config_for_parsing
    begin = cst.parse_statement(f"{_NAME} = iter({loader})", config=config)
    taken = file.code(statement).replace(file.code(call), f"next({_NAME})")
    code = f"try:\n    {taken}\nexcept StopIteration:\n    {_NAME} = iter({loader})\n    {taken}\n"
    trying = cst.parse_statement(code, config=config)
    file.edit(line, lambda old: trying.with_changes(leading_lines=old.leading_lines))

    def put_before(loop: cst.For) -> cst.FlattenSentinel[cst.BaseStatement]:
        first = begin.with_changes(leading_lines=loop.leading_lines)
        return cst.FlattenSentinel([first, loop.with_changes(leading_lines=[])])

    file.edit(loops[0], put_before)


def _loader(file: SourceFile, call: cst.Call) -> str:
    """What an expression ``next(iter(loader))`` takes the first batch of."""
    match call:
        case cst.Call(
            func=cst.Name(value="next"),
            args=[
                cst.Arg(
                    value=cst.Call(
                        func=cst.Name(value="iter"),
                        args=[cst.Arg(value=cst.Name() | cst.Attribute() as loader)],
                    )
                )
            ],
        ):
            return file.code(loader)
    return ""
