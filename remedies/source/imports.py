"""Makes another class importable the way that its neighbour is."""

from __future__ import annotations

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
