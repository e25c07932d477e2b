"""What differs between two command lines of the same script."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from remedies.arguments.command_line import CommandLine, Piece


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that two command lines do not share.

    Attributes:
        name: Name of the setting, see `Piece`.
        bad: How the bad command line has it, quoted for a shell; empty where it does not.
        good: The same of the good one.
        first: Whether it has to come before everything else where it is put in: the good command
            line has it before a positional argument, which may be a subcommand.
        alone: Words, quoted for a shell, that are no values of the option before them: the bad
            command line does not tell by itself, the good one does.
    """

    name: str
    bad: str
    good: str
    first: bool = False
    alone: str = ""

    @property
    def shown(self) -> str:
        """How the bad command line has it, for a person."""
        return self.bad or f"no {self.name}"


def differences(bad: Sequence[str], good: Sequence[str]) -> list[Difference]:
    """The settings that differ, in the order of the bad command line.

    Positional arguments differ one by one where both lines have as many of them, and all at once
    where they do not. A word that stands alone in one line is no value of an option in the other
    one. Numbers differ by their value, not by how it is written.

    >>> [str(d.name) for d in differences("--lr 0.3 --amp x=1".split(), "--lr=3e-1 x=2".split())]
    ['--amp', 'x']
    >>> differences(["--lr", "0.3"], ["--lr", "0.1", "--clip", "1"])[0]
    Difference(name='--lr', bad='--lr 0.3', good='--lr 0.1', first=False, alone='')
    >>> differences(["--amp", "a.csv"], ["a.csv"])
    [Difference(name='--amp', bad='--amp', good='', first=False, alone='a.csv')]
    """
    alone = _alone(bad), _alone(good)
    hints = alone[1] - alone[0]
    old, new = CommandLine.read(list(bad), hints), CommandLine.read(list(good), alone[0] - alone[1])
    if _positionals(old) != _positionals(new):
        old, new = old.together(), new.together()
    names = [*old.names, *(name for name in new.names if name not in old.names)]
    needed = shlex.join(sorted(hints)) if CommandLine.read(list(bad)).pieces != old.pieces else ""
    return [
        Difference(name, _quoted(old.of(name)), _quoted(new.of(name)), _precedes(new, name), needed)
        for name in names
        if not _same(old.of(name), new.of(name))
    ]


def _alone(arguments: Sequence[str]) -> set[str]:
    """Words that are no values of an option, as far as the line tells by itself."""
    pieces = CommandLine.read(list(arguments)).pieces
    return {word for piece in pieces if piece.positional for word in piece.values}


def _positionals(line: CommandLine) -> int:
    return sum(piece.positional for piece in line.pieces)


def _precedes(line: CommandLine, name: str) -> bool:
    places = [index for index, piece in enumerate(line.pieces) if piece.name == name]
    return bool(places) and any(piece.positional for piece in line.pieces[places[0] + 1 :])


def _same(one: Sequence[Piece], other: Sequence[Piece]) -> bool:
    if bool(one) != bool(other):
        return False
    return list(map(_value, _values(one))) == list(map(_value, _values(other)))


def _values(pieces: Sequence[Piece]) -> list[str]:
    # The separator keeps `--a 1 2` and `--a 1 --a 2` apart: parsers read them differently.
    return [value for piece in pieces for value in ("", *piece.values)]


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _quoted(pieces: Sequence[Piece]) -> str:
    return shlex.join(token for piece in pieces for token in piece.tokens)
