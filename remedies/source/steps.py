"""Rewrites what is done around the step of an optimizer."""

from __future__ import annotations

import libcst as cst

from remedies.source.blocks import put_before
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import written_name
from remedies.source.numbers import literal


def clear_after_step(file: SourceFile, line: int, moved: bool) -> None:
    """Have ``zero_grad`` called after ``step``.

    Args:
        file: The file.
        line: The line that calls ``step``.
        moved: Whether it is called elsewhere in the same function, where it is taken away.

    Raises:
        Unwritable: The line is not a plain call of an optimizer's ``step``.
    """
    statement, optimizer = _step_at(file, line)
    if moved:
        scope = file.scope(statement)
        others = [
            node
            for node in file.nodes(cst.SimpleStatementLine, scope)
            if called(file, node, "zero_grad") == optimizer
        ]
        if not others:
            raise Unwritable(f"{optimizer}.zero_grad() is not called as a statement of its own")
        for other in others:
            body = next(file.above(other))
            if isinstance(body, cst.IndentedBlock) and len(body.body) == 1:
                raise Unwritable(f"nothing would be left beside {optimizer}.zero_grad()")
            file.edit(other, lambda _: cst.RemoveFromParent())
    new = cst.parse_statement(f"{optimizer}.zero_grad()", config=file.tree.config_for_parsing)
    file.edit(statement, lambda step: cst.FlattenSentinel([step, new]))


def step_after_backward(file: SourceFile, line: int, backward: int) -> bool:
    """Move a step that is made right before the backward pass to behind it.

    Args:
        file: The file.
        line: The line that calls ``step``.
        backward: The line of the backward pass.

    Returns:
        Whether it was moved: only where both are in one block, and the gradients are cleared there
        before the backward pass.
    """
    statement, optimizer = _step_at(file, line)
    block = next(file.above(statement))
    if not isinstance(block, cst.IndentedBlock):
        return False
    body = list(block.body)
    place = body.index(statement)
    found = [
        number
        for number, other in enumerate(body)
        if number > place
        and isinstance(other, cst.SimpleStatementLine)
        and file.lines(other)[0] <= backward <= file.lines(other)[1]
    ]
    cleared = [
        number
        for number, other in enumerate(body)
        if isinstance(other, cst.SimpleStatementLine)
        and called(file, other, "zero_grad") == optimizer
    ]
    if not found or not cleared or cleared[0] > found[0]:
        return False
    moved = statement.with_changes(leading_lines=[])
    file.edit(statement, lambda _: cst.RemoveFromParent())
    file.edit(body[found[0]], lambda old: cst.FlattenSentinel([old, moved]))
    return True


def clip_before_step(file: SourceFile, line: int, limit: float) -> None:
    """Have gradients clipped to a norm before ``step``.

    Args:
        file: The file.
        line: The line that calls ``step``.
        limit: The largest norm.

    Raises:
        Unwritable: The line is not a plain call of an optimizer's ``step``, or its function clips.
    """
    statement, optimizer = _step_at(file, line)
    calls = file.nodes(cst.Call, file.scope(statement))
    if any("clip_grad" in file.code(call.func) for call in calls):
        raise Unwritable("gradients are clipped there already")
    clip = written_name(file, "torch.nn.utils.clip_grad_norm_")
    held = _held(file, statement, optimizer)
    put_before(file, statement, f"{clip}({held}, {literal(limit)})")


def _held(file: SourceFile, statement: cst.CSTNode, optimizer: str) -> str:
    """The parameters of an optimizer, as they were given to it where that can be seen."""
    made = [
        assignment
        for assignment in file.nodes(cst.Assign)
        if [file.code(target.target) for target in assignment.targets] == [optimizer]
    ]
    match [assignment.value for assignment in made]:
        case [
            cst.Call(
                args=[
                    cst.Arg(
                        value=cst.Call(func=cst.Attribute(value=model, attr=name), args=[]) as held
                    ),
                    *_,
                ]
            )
        ] if name.value == "parameters":
            attributes = f"{file.code(model)} {optimizer}".count("self.") == 2
            if attributes or file.scope(made[0]) is file.scope(statement):
                return file.code(held)
    return f'[p for group in {optimizer}.param_groups for p in group["params"]]'


def _step_at(file: SourceFile, line: int) -> tuple[cst.SimpleStatementLine, str]:
    for statement in file.nodes(cst.SimpleStatementLine):
        first, last = file.lines(statement)
        optimizer = called(file, statement, "step")
        if first <= line <= last and optimizer is not None:
            return statement, optimizer
    raise Unwritable(f"{file.path}:{line} is not a plain call of step")


def called(file: SourceFile, statement: cst.SimpleStatementLine, method: str) -> str | None:
    """What a method is called of, without arguments, where a statement does nothing else."""
    match statement.body:
        case [
            cst.Expr(
                value=cst.Call(func=cst.Attribute(value=owner, attr=cst.Name(value=name)), args=[])
            )
        ] if name == method and isinstance(owner, cst.Name | cst.Attribute):
            return file.code(owner)
    return None
