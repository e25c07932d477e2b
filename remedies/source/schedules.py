"""Rewrites where a schedule of the learning rate is moved on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from remedies.source.blocks import loops_around, put_after, statement_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.steps import called

if TYPE_CHECKING:
    from remedies.source.source import Source


def move_behind_loop(file: SourceFile, line: int) -> None:
    """Move the step of a schedule from the loop over the batches to behind it.

    Args:
        file: The file.
        line: A line of the loop over the batches, the one that calls the optimizer's ``step``.

    Raises:
        Unwritable: There is not one plain call of it, or no loop around that of the batches.
    """
    loops = loops_around(file, line)
    moved = [
        statement
        for statement in loops[0].body.body
        if isinstance(statement, cst.SimpleStatementLine)
        and _is_schedule(file, called(file, statement, "step"))
    ]
    if len(moved) != 1 or len(loops) < 2 or loops[0].orelse or len(loops[0].body.body) < 2:
        raise Unwritable("the step of a schedule is not a statement of the loop over the batches")
    if any(isinstance(node, cst.Break | cst.Continue) for node in file.everything(loops[0])):
        raise Unwritable("the loop over the batches does not always come to its end")
    last = moved[0].with_changes(leading_lines=[])
    file.edit(moved[0], lambda _: cst.RemoveFromParent())
    file.edit(loops[0], lambda loop: cst.FlattenSentinel([loop, last]))


def move_with_each_step(source: Source, moved: Sequence[tuple[str, str]]) -> None:
    """Have a schedule make its step after each one of the optimizer, and nowhere else.

    Args:
        source: The user's files.
        moved: The optimizers whose schedules are moved, and the lines that do so.

    Raises:
        Unwritable: It is not clear which one it is, or where.
    """
    loops = source.trace.loops
    if not moved and len(loops) == 1:
        return move_the_only_one(*source.place(next(iter(loops.values())).stepped))
    if len(moved) != 1 or moved[0][0] not in loops:
        raise Unwritable(f"schedules are moved at {len(moved)} lines")
    file, line = source.place(moved[0][1])
    other, stepped = source.place(loops[moved[0][0]].stepped)
    if other is not file:
        raise Unwritable("the schedule is moved in another file than the optimizer")
    move_into_loop(file, stepped, line)


def move_into_loop(file: SourceFile, line: int, moved: int) -> None:
    """Move the step of a schedule from behind the loop over the batches to each optimizer step.

    Args:
        file: The file.
        line: The line that calls the optimizer's ``step``.
        moved: The line that calls that of the schedule.

    Raises:
        Unwritable: That is not a plain call, made once in each round of a loop around this one.
    """
    statement = statement_at(file, moved)
    schedule = called(file, statement, "step")
    block = next(file.above(statement))
    if schedule is None or all(loop.body is not block for loop in loops_around(file, line)[1:]):
        raise Unwritable("the step of the schedule is not a statement of the loop over the epochs")
    file.edit(statement, lambda _: cst.RemoveFromParent())
    put_after(file, statement_at(file, line), f"{schedule}.step()\n")


def move_the_only_one(file: SourceFile, line: int) -> None:
    """Have the schedule that nothing moves make its step after each one of the optimizer.

    Args:
        file: The file.
        line: The line that calls the optimizer's ``step``.

    Raises:
        Unwritable: There is not one variable of the same function that holds a schedule.
    """
    stepped = statement_at(file, line)
    held = [
        (assignment, target.target.value)
        for assignment in file.nodes(cst.Assign)
        for target in assignment.targets
        if isinstance(target.target, cst.Name) and _is_schedule(file, target.target.value)
    ]
    if len(held) != 1 or file.scope(held[0][0]) is not file.scope(stepped):
        raise Unwritable(f"there are {len(held)} schedules where the optimizer makes its steps")
    put_after(file, stepped, f"{held[0][1]}.step()\n")


def _is_schedule(file: SourceFile, name: str | None) -> bool:
    made = file.assigned_to(name) if name else []
    return bool(made) and all(
        isinstance(value, cst.Call)
        and (file.imported(value.func) or "").startswith("torch.optim.lr_scheduler.")
        for value in made
    )
