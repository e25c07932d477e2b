"""Rewrites where a schedule of the learning rate is moved on."""

from __future__ import annotations

import libcst as cst

from remedies.source.blocks import loops_around, put_after, statement_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.steps import called


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


def _is_schedule(file: SourceFile, name: str | None) -> bool:
    made = [
        assignment.value
        for assignment in file.nodes(cst.Assign)
        if name in [file.code(target.target) for target in assignment.targets]
    ]
    return bool(made) and all(
        isinstance(value, cst.Call)
        and (file.imported(value.func) or "").startswith("torch.optim.lr_scheduler.")
        for value in made
    )
