"""Makes another class importable the way that its neighbour is."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile


def import_beside(file: SourceFile, name: str, wanted: str) -> None:
    """See to it that ``wanted`` is imported where ``name``, of the same package, is.

    Args:
        file: The file that imports it.
        name: Full name, ``torch.nn.BatchNorm1d``.
        wanted: Name of the other class, ``InstanceNorm1d``.

    Raises:
        Unwritable: It is not clear where that is, or the name is taken.
    """
    package, _, known = name.rpartition(".")
    places = [
        place
        for place in file.nodes(cst.ImportFrom)
        if file.code(place.module or cst.Name("_")) == package and known in _names(place)
    ]
    if len(places) != 1:
        raise Unwritable(f"{wanted} cannot be imported safely")
    taken = any(node.value == wanted for node in file.nodes(cst.Name))
    imported = any(
        alias.evaluated_name == wanted and alias.asname is None for alias in _aliases(places[0])
    )
    if imported:
        return
    if taken:
        raise Unwritable(f"{wanted} is another thing in {file.path}")
    file.edit(places[0], lambda place: _extended(place, wanted))


def import_module(file: SourceFile, name: str) -> None:
    """Import a module of the standard library at the top of a file, in the order of the alphabet.

    Raises:
        Unwritable: Its name is another thing in the file, or nothing is imported at its top.
    """
    if file.mentions(name):
        raise Unwritable(f"{name} is another thing in {file.path}")
    lines = [
        line
        for line in file.tree.body
        if isinstance(line, cst.SimpleStatementLine)
        and isinstance(line.body[0], cst.Import | cst.ImportFrom)
        and file.code(line.body[0]).partition(" import")[0] != "from __future__"
    ]
    if not lines:
        raise Unwritable(f"it is not clear where {name} can be imported")
    first = lines[0]
    new = cst.SimpleStatementLine([cst.Import([cst.ImportAlias(cst.Name(name))])])
    group = [first, *itertools.takewhile(lambda line: not line.leading_lines, lines[1:])]
    before = [line for line in group if file.code(line.body[0]) < f"import {name}"]
    before = [line for line in before if isinstance(line.body[0], cst.Import)]
    if before:
        file.edit(before[-1], lambda line: cst.FlattenSentinel([line, new]))
        return
    apart = [] if _is_standard(file, first) else [cst.EmptyLine(indent=False)]
    above = new.with_changes(leading_lines=first.leading_lines)
    file.edit(
        first, lambda line: cst.FlattenSentinel([above, line.with_changes(leading_lines=apart)])
    )


def _is_standard(file: SourceFile, line: cst.SimpleStatementLine) -> bool:
    """Whether a line imports of the standard library."""
    package = file.code(line.body[0]).split()[1].partition(".")[0]
    return package.rstrip(",;") in sys.stdlib_module_names


def functional_name(file: SourceFile) -> str:
    """How a file can write ``torch.nn.functional``; see `written_name`."""
    return written_name(file, "torch.nn.functional")


def written_name(file: SourceFile, wanted: str) -> str:
    """How a file that imports something, or what contains it, can write its name.

    Raises:
        Unwritable: It is not imported at the top of the file, or its name is another thing, too.
    """
    known = {name: short for name, short in _imported(file) if f"{wanted}.".startswith(f"{name}.")}
    for name, written in sorted(known.items(), reverse=True):
        uses = [node for node in file.nodes(cst.Name) if node.value == written]
        if all(_is_no_variable(file, node) or file.imported(node) == name for node in uses):
            return f"{written}{wanted.removeprefix(name)}"
    raise Unwritable(f"{wanted} is not imported")


def _imported(file: SourceFile) -> Iterator[tuple[str, str]]:
    """Full names of what is imported at the top of a file, and what they are called in it."""
    for line in file.tree.body:
        for place in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if not isinstance(place, cst.Import | cst.ImportFrom):
                continue
            if isinstance(place.names, cst.ImportStar):
                continue
            package = ""
            if isinstance(place, cst.ImportFrom):
                package = f"{file.code(place.module)}." if place.module else "."
            for alias in place.names:
                name = f"{package}{alias.evaluated_name}"
                written = alias.evaluated_alias or alias.evaluated_name
                if isinstance(place, cst.Import) and not alias.asname:
                    name = written = written.partition(".")[0]
                yield name, written


def _is_no_variable(file: SourceFile, node: cst.Name) -> bool:
    """Whether a name stands for an attribute, a keyword, or a part of an import."""
    parent = next(iter(file.above(node)), None)
    if isinstance(parent, cst.Attribute):
        return parent.attr is node or _in_import(file, node)
    if isinstance(parent, cst.Arg):
        return parent.keyword is node
    return _in_import(file, node)


def _in_import(file: SourceFile, node: cst.Name) -> bool:
    return any(isinstance(up, cst.Import | cst.ImportFrom) for up in file.above(node))


def _aliases(place: cst.ImportFrom) -> list[cst.ImportAlias]:
    return [] if isinstance(place.names, cst.ImportStar) else list(place.names)


def _names(place: cst.ImportFrom) -> list[str]:
    return [alias.evaluated_name for alias in _aliases(place)]


def _extended(place: cst.ImportFrom, wanted: str) -> cst.ImportFrom:
    names, aliases = _names(place), _aliases(place)
    if wanted in names:
        return place
    plain = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    separator = aliases[0].comma if len(aliases) > 1 else plain
    later = [number for number, name in enumerate(names) if name > wanted]
    index = later[0] if later and names == sorted(names) else len(names)
    new = cst.ImportAlias(cst.Name(wanted), comma=separator)
    if index == len(names):
        new = new.with_changes(comma=aliases[-1].comma)
        aliases[-1] = aliases[-1].with_changes(comma=separator)
    aliases.insert(index, new)
    return place.with_changes(names=aliases)
