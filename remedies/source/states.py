"""Copies a state where a script takes it."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import import_module, written_name


def copy_state(file: SourceFile, line: int) -> None:
    """Write ``copy.deepcopy(model.state_dict())`` where a line takes the state of a model.

    Args:
        file: The file.
        line: The line.

    Raises:
        Unwritable: The line does not take exactly one state, or ``copy`` is another thing.
    """
    calls = [
        call
        for call in file.nodes(cst.Call)
        if isinstance(call.func, cst.Attribute)
        and call.func.attr.value == "state_dict"
        and file.lines(call.func)[1] == line
    ]
    if len(calls) != 1:
        raise Unwritable(f"{file.path}:{line} takes {len(calls)} states")
    try:
        function = written_name(file, "copy.deepcopy")
    except Unwritable:
        import_module(file, "copy")
        function = "copy.deepcopy"
    deepcopy = file.parse(function)
    file.edit(calls[0], lambda call: cst.Call(deepcopy, [cst.Arg(call)]))
