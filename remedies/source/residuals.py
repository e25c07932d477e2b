"""Scales what residual branches add to their stream."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile


@dataclass(frozen=True)
class _Sum:
    """``stream + block(stream)``.

    Attributes:
        branch: What is added.
        name: The attribute that holds the branch, or all of them.
        each: The attribute as it is written, where it is a list that a loop goes over.
    """

    branch: cst.Call
    name: str
    each: str | None


def scale_by_depth(files: Iterable[SourceFile], paths: Collection[str]) -> None:
    """Multiply what branches add by one over the root of their number.

    Args:
        files: The files of the program.
        paths: The branches, ``blocks.0`` and so on.

    Raises:
        Unwritable: They are not all added in one place.
    """
    names = {_holder(path) for path in paths}
    found = [(file, each) for file in files for each in _sums(file) if each.name in names]
    if len(found) != 1 or len(names) != 1:
        raise Unwritable(f"the branches are added in {len(found)} places")
    file, added = found[0]
    code = file.code(added.branch)
    if "#" in code:
        raise Unwritable("there is a comment within the call of the branch")
    count = f"len({added.each}) ** -0.5" if added.each else f"{len(paths)}**-0.5"
    scaled = file.parse(f"{count} * {code}")
    file.edit(added.branch, lambda _: scaled)


def add_skips(files: Iterable[SourceFile], paths: Collection[str]) -> None:
    """Add to what modules give what they were given.

    Args:
        files: The files of the program.
        paths: The modules.

    Raises:
        Unwritable: It is not clear where each of them is called, or what with.
    """
    names = {_holder(path) for path in paths}
    calls = [
        (file, call, named)
        for file in files
        for call in file.nodes(cst.Call)
        if (named := _named(file, call)) and named[0] in names
    ]
    if sorted(named[0] for _, _, named in calls) != sorted(names):
        raise Unwritable(f"{' and '.join(sorted(names))} are called in {len(calls)} places")
    for file, call, _ in calls:
        _add_to(file, call)


def _add_to(file: SourceFile, call: cst.Call) -> None:
    """Write ``x + block(x)`` where a block is called."""
    stream = call.args[0] if call.args else None
    if stream is None or stream.star or not isinstance(stream.value, cst.Name | cst.Attribute):
        raise Unwritable("what the modules are given is computed on the same line")
    if "#" in file.code(call):
        raise Unwritable("there is a comment within the call")
    added = file.parse(f"{file.code(stream.value)} + {file.code(call)}")
    if not isinstance(next(file.above(call)), cst.Arg | cst.Assign | cst.Return):
        added = added.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    file.edit(call, lambda _: added)


def _holder(path: str) -> str:
    """The last part of a path that is no number."""
    return next((part for part in reversed(path.split(".")) if not part.isdigit()), "")


def _sums(file: SourceFile) -> Iterator[_Sum]:
    for node in file.everything():
        match node:
            case cst.BinaryOperation(left=stream, operator=cst.Add(), right=cst.Call() as branch):
                pass
            case cst.BinaryOperation(left=cst.Call() as branch, operator=cst.Add(), right=stream):
                pass
            case cst.AugAssign(target=stream, operator=cst.AddAssign(), value=cst.Call() as branch):
                pass
            case _:
                continue
        given = [file.code(arg.value) for arg in branch.args]
        named = _named(file, branch)
        if named and file.code(stream) in given and not branch.lpar:
            yield _Sum(branch, *named)


def _named(file: SourceFile, call: cst.Call) -> tuple[str, str | None] | None:
    """Which attribute of ``self`` a branch is, or is an element of."""
    match call.func:
        case cst.Attribute(value=cst.Name(value="self"), attr=name):
            return name.value, None
        case cst.Name(value=variable):
            for up in file.above(call):
                match up:
                    case cst.For(
                        target=cst.Name(value=each),
                        iter=cst.Attribute(value=cst.Name(value="self"), attr=name) as blocks,
                    ) if each == variable:
                        return name.value, file.code(blocks)
    return None
