"""Writes a random order of the samples where a script takes them in that of the data."""

from __future__ import annotations

import libcst as cst

from remedies.source.blocks import loops_around, put_before
from remedies.source.calls import CallSite, calls_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import written_name

_LOADER = "torch.utils.data.DataLoader"
_SIGNATURE = ("dataset", "batch_size", "shuffle", "sampler", "batch_sampler")
_NAME = "order"


def shuffle_loader(file: SourceFile, line: int) -> bool:
    """Have the loader shuffle that is made at a line; False where none is made there.

    Raises:
        Unwritable: There are several, or it has a sampler of its own.
    """
    calls = [CallSite(file, call, _LOADER) for call in calls_at(file, line, _LOADER)]
    if not calls:
        return False
    if len(calls) > 1 or {"sampler", "batch_sampler"} & set(calls[0].arguments(*_SIGNATURE)):
        raise Unwritable("there are several loaders, or one with a sampler of its own")
    calls[0].set("shuffle", "True", *_SIGNATURE)
    return True


def shuffle_slices(file: SourceFile, line: int) -> None:
    """Take ``x[order[a:b]]`` for ``x[a:b]`` in a loop, with a new order before each round of it.

    Args:
        file: The file.
        line: The line that takes the slice of the inputs.

    Raises:
        Unwritable: There is no such slice in a loop, or something is in the way.
    """
    loop = loops_around(file, line)[0]
    slices = [
        node
        for node in file.nodes(cst.Subscript, loop.body)
        if isinstance(node.slice[0].slice, cst.Slice)
    ]
    first = next((n for n in slices if file.lines(n)[0] <= line <= file.lines(n)[1]), None)
    if first is None:
        raise Unwritable(f"no slice is taken at {file.path}:{line}")
    rows = file.code(first.slice[0].slice)
    if file.mentions(_NAME) or "#" in rows:
        raise Unwritable(f"{_NAME} is a name of the script, or a comment is within the slice")
    shuffled = cst.Index(file.parse(f"{_NAME}[{rows}]"))
    for node in slices:
        place = node.slice[0].slice
        if file.code(place) == rows:
            file.edit(place, lambda _: shuffled)
    permutation = written_name(file, "torch.randperm")
    put_before(file, loop, f"{_NAME} = {permutation}(len({file.code(first.value)}))")
