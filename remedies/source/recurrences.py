"""Leaves a state in the graph that a loop takes out of it in each round."""

from __future__ import annotations

import re
from itertools import takewhile

import libcst as cst

from remedies.source import dropping
from remedies.source.blocks import Loop, put_before
from remedies.source.cuts import cuts_at, leave_out, tensor_of
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_NAME = re.compile(r"[A-Za-z_][\w.]*")
_EACH = re.compile(r"(?:tuple|list)?[(\[](\w+) for \1 in (.+)[)\]]")
"""What is left of ``tuple(each.detach() for each in state)``."""


def take_out(file: SourceFile, line: int, kind: str, carried: bool) -> None:
    """Leave a state in the graph that a line takes out of it.

    Args:
        file: The file.
        line: The line, in a loop over the rounds.
        kind: ``detach`` or ``data``.
        carried: Whether the first round of a step takes over the state of the step before: there
            it is taken out of the graph, before the loop.

    Raises:
        Unwritable: The line does not do so plainly, or it is not clear which loop and state that
            is.
    """
    cuts = cuts_at(file, line, kind)
    if not cuts:
        raise Unwritable(f"{file.path}:{line} has no {kind}")
    above = (up for up in file.above(cuts[0]) if isinstance(up, cst.BaseSmallStatement))
    statement = next(above, None)
    if statement is None:
        raise Unwritable(f"{file.path}:{line} is no statement")
    scope = file.scope(statement)
    if carried and isinstance(scope, cst.FunctionDef) and not _loops(file, statement):
        return _move_call(file, scope.name.value)
    alone = _kept(file, statement, cuts)
    if carried:
        loop = _loop(file, statement)
        own = {alone: file.code(statement)} if alone else _states(file, statement, cuts, loop)
        for state, code in own.items():
            put_before(file, loop, _checked(file, loop, state, code))
    if alone:
        return dropping.remove(file, statement)
    for cut in cuts:
        leave_out(file, cut)


def _kept(
    file: SourceFile, statement: cst.BaseSmallStatement, cuts: list[cst.Call | cst.Attribute]
) -> str | None:
    """The state, where the statement does nothing but take it out of the graph."""
    if not isinstance(statement, cst.Assign):
        return None
    left = file.code(statement.value)
    for cut in cuts:
        left = left.replace(file.code(cut), file.code(tensor_of(cut)))
    each = _EACH.fullmatch(left)
    state = file.code(statement.targets[0].target)
    same = _bare(each.group(2) if each else left) == _bare(state)
    return state if same and len(statement.targets) == 1 else None


def _states(
    file: SourceFile,
    statement: cst.BaseSmallStatement,
    cuts: list[cst.Call | cst.Attribute],
    loop: Loop,
) -> dict[str, str]:
    """The variables that hold the state before the loop, and the statements that cut them."""
    cut = [file.code(tensor_of(cut)) for cut in cuts]
    if isinstance(statement, cst.Assign) and statement.value is cuts[0]:
        cut = [file.code(statement.targets[0].target)]
    assigned = {
        name.strip(): node
        for node in file.nodes(cst.Assign, loop)
        for name in _bare(file.code(node.targets[0].target)).split(",")
    }
    found = {}
    for state in cut:
        source = assigned.get(state)
        if source is not None and isinstance(source.value, cst.Name) and source is not statement:
            state = file.code(source.value)  # Of ``h, c = state``.
            found[state] = f"{state} = tuple(part.detach() for part in {state})"
        else:
            found[state] = f"{state} = {state}.detach()"
    return found


def _checked(file: SourceFile, loop: Loop, state: str, code: str) -> str:
    """The statement that cuts a state before a loop; it may be None in the first step."""
    names = {name.strip() for name in _bare(state).split(",")}
    known = file.nodes(cst.Name, file.scope(loop))
    before = {node.value for node in known if file.lines(node)[0] < file.lines(loop)[0]}
    if not all(_NAME.fullmatch(name) and name.split(".")[0] in before for name in names):
        raise Unwritable(f"{state} is no variable that is there before the loop")
    for node in file.nodes(cst.Assign):
        if file.code(node.value) == "None" and file.code(node.targets[0].target) == state:
            return f"if {state} is not None:\n    {code}\n"
    return f"{code}\n"


def _loop(file: SourceFile, statement: cst.CSTNode) -> Loop:
    """The loop over the rounds: the outermost of the function that makes no backward pass."""
    loops = _loops(file, statement)
    if not loops:
        raise Unwritable("the state of a step is used in the next, in no loop of its own")
    return loops[-1]


def _loops(file: SourceFile, statement: cst.CSTNode) -> list[Loop]:
    """The loops around a statement, in its function, that make no backward pass."""
    scope = file.scope(statement)
    around = [up for up in file.above(statement) if isinstance(up, Loop)]
    own = [loop for loop in around if file.scope(loop) is scope]
    return list(takewhile(lambda loop: not _goes_back(file, loop), own))


def _move_call(file: SourceFile, name: str) -> None:
    """Call a function that takes a state out of the graph before the loop, not in each round."""
    calls = [
        next(file.above(call))
        for call in file.nodes(cst.Call)
        if file.code(call.func) == name and _name_of(file.scope(call)) != name
    ]
    calls = [call for call in calls if _goes_back(file, file.scope(call))] or calls
    found = [call for call in calls if _loops(file, call)]
    if len(found) != 1 or not isinstance(found[0], cst.Assign):
        raise Unwritable(f"{name} is not called once, in an assignment of its own in a loop")
    statement, state = found[0], file.code(found[0].targets[0].target)
    if _bare(file.code(statement.value).removeprefix(name)) != state:
        raise Unwritable(f"{name} does not give back what it is given")
    if len(calls) == 1:
        loop = _loop(file, statement)
        put_before(file, loop, _checked(file, loop, state, file.code(statement)))
    dropping.remove(file, statement)


def _name_of(scope: cst.CSTNode) -> str:
    return scope.name.value if isinstance(scope, cst.FunctionDef) else ""


def _goes_back(file: SourceFile, root: cst.CSTNode) -> bool:
    """Whether a backward pass is made in a loop or a function."""
    names = (node.attr.value for node in file.nodes(cst.Attribute, root))
    return any(name in ("backward", "manual_backward") for name in names)


def _bare(code: str) -> str:
    """An expression without the parentheses around it."""
    return code[1:-1] if code.startswith("(") and code.endswith(")") else code
