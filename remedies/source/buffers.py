"""Has a copy of a model take over the buffers, where it takes in the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import libcst as cst

from remedies.source.blocks import loops_around, put_after
from remedies.source.calls import calls_of
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_AVERAGED = "torch.optim.swa_utils.AveragedModel"
_PARAMETERS, _BUFFERS = ".parameters()", ".buffers()"


def copy_along(places: Iterable[tuple[SourceFile, int]], files: Sequence[SourceFile]) -> None:
    """Write a loop over the buffers behind the one over the parameters of both models.

    An ``AveragedModel`` is asked to do so itself.

    Args:
        places: The lines that update the copy.
        files: The files of the program.

    Raises:
        Unwritable: It is not one such loop, nor one ``AveragedModel``.
    """
    averaged = [call for file in files for call in calls_of(file, {_AVERAGED})]
    if averaged:
        if len(averaged) > 1:
            raise Unwritable("there are several averaged models")
        return averaged[0].set("use_buffers", "True")
    loops = [_loop(file, line) for file, line in places]
    found = {id(loop): (file, loop) for file, loop in loops}
    if len(found) != 1:
        raise Unwritable("the copy is updated at several places, or at none")
    for file, loop in found.values():
        own, other = _pair(file, loop)
        header = file.code(loop.iter).replace(_PARAMETERS, _BUFFERS)
        names = file.code(loop.target)
        put_after(file, loop, f"for {names} in {header}:\n    {own}.copy_({other})\n")


def _loop(file: SourceFile, line: int) -> tuple[SourceFile, cst.For]:
    for loop in loops_around(file, line):
        if isinstance(loop, cst.For) and file.code(loop.iter).count(_PARAMETERS) == 2:
            return file, loop
    raise Unwritable(f"{file.path}:{line} is in no loop over the parameters of two models")


def _pair(file: SourceFile, loop: cst.For) -> tuple[str, str]:
    """The names of a parameter of the copy and of that of the model, in a loop over both."""
    target = loop.target
    names = [file.code(element.value) for element in getattr(target, "elements", ())]
    changed = [name for name in names if _is_changed(file, loop.body, name)]
    if len(names) != 2 or len(changed) != 1:
        raise Unwritable(f"what {file.code(target)} are is not clear")
    return changed[0], next(name for name in names if name != changed[0])


def _is_changed(file: SourceFile, body: cst.CSTNode, name: str) -> bool:
    """Whether a tensor is changed in place, or its ``data`` is set."""
    calls = (
        call.func for call in file.nodes(cst.Call, body) if isinstance(call.func, cst.Attribute)
    )
    receivers = [f.value for f in calls if f.attr.value.endswith("_")]
    assigned = [each.target for each in file.nodes(cst.AssignTarget, body)]
    assigned += [each.target for each in file.nodes(cst.AugAssign, body)]
    written = {file.code(node) for node in [*receivers, *assigned]}
    return bool(written & {name, f"{name}.data"})
