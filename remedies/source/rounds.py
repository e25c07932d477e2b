"""Ends a loop after a number of rounds."""

from __future__ import annotations

import ast
from typing import Any

import libcst as cst

from remedies.source.blocks import loops_around
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.numbers import times


def stop_after(file: SourceFile, line: int, rounds: int) -> None:
    """Leave the outermost loop around a line after so many rounds.

    Args:
        file: The file.
        line: A line in the loop.
        rounds: How many rounds are made.

    Raises:
        Unwritable: The loop does not count its rounds by ``range``.
    """
    loop = loops_around(file, line)[-1]
    match loop:
        case cst.For(
            target=cst.Name(value=name),
            iter=cst.Call(func=cst.Name(value="range"), args=[*args]),
        ) if len(args) in (1, 2):
            first = ast.literal_eval(file.code(args[0].value)) if _starts(file, args) else 0
        case _:
            raise Unwritable("the training loop does not count its rounds")
    if loop.orelse or not isinstance(loop.body, cst.IndentedBlock) or rounds < 1:
        raise Unwritable("something happens at the end of the training loop")
    if any(file.code(place.target) == name for place in file.nodes(cst.AssignTarget, loop)):
        raise Unwritable(f"{name} is changed within the loop")
    code = f"if {name} == {first + rounds - 1}:\n    break\n"
    new = cst.parse_statement(code, config=file.tree.config_for_parsing)

    def put(block: Any) -> Any:
        return block.with_changes(body=[*block.body, new])

    file.edit(loop.body, put)


def lengthen(file: SourceFile, line: int, factor: float) -> None:
    """Have the outermost loop around a line make so many times the rounds.

    Args:
        file: The file.
        line: A line in the loop.
        factor: How many times.

    Raises:
        Unwritable: It is not over ``range(n)`` or ``range(1, n + 1)``.
    """
    match loops_around(file, line)[-1]:
        case cst.For(iter=cst.Call(func=cst.Name(value="range"), args=[cst.Arg(value=count)])):
            pass
        case cst.For(
            iter=cst.Call(
                func=cst.Name(value="range"),
                args=[
                    cst.Arg(value=cst.Integer(value="1")),
                    cst.Arg(
                        value=cst.BinaryOperation(
                            left=count, operator=cst.Add(), right=cst.Integer(value="1")
                        )
                    ),
                ],
            )
        ):
            pass
        case _:
            raise Unwritable("the training loop does not count its rounds")
    code = times(file.code(count), factor)
    whole = code.removesuffix(".0") if isinstance(count, cst.Integer) else code
    plain = factor == int(factor) and "." not in whole.split("*")[0]
    new = file.parse(whole if plain else f"round({code})")
    file.edit(count, lambda _: new)


def _starts(file: SourceFile, args: list[cst.Arg]) -> bool:
    """Whether ``range`` is told where to begin, by a number."""
    if len(args) == 1:
        return False
    if not file.code(args[0].value).isdecimal():
        raise Unwritable("where the training loop begins is computed")
    return True
