"""A command line read into settings, and written back with some of them changed.

What a word means is the business of the script's parser, which we do not know. What is read here
is what nearly all parsers have in common; where they differ, words are kept together rather than
torn apart:

* ``--name value``, ``--name=value``, ``-n value``, ``-n5``: an option with a value. Words that
  follow an option are all its values (``--betas 0.9 0.95``), up to the next option.
* ``--flag``, ``--no-flag``: two values of the same setting. ``--batch_size`` is ``--batch-size``.
* ``key=value``, ``+key=value``, ``~key=value`` as in Hydra: a setting of its own wherever it is.
* ``-5``, ``-1e-3``, ``-.5``: negative numbers are values.
* Everything else, and everything after ``--``, is a positional argument.

An option that is given more than once is one setting with all of its values. Abbreviations
(``--batch`` for ``--batch-size``) and short forms (``-b``) are settings of their own: only the
parser knows what they stand for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"-(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?|-inf", re.IGNORECASE)
_KEY_VALUE = re.compile(r"(?P<key>[+~]{0,2}[A-Za-z_][\w./@:-]*)=(?P<value>.*)", re.DOTALL)
_SHORT = re.compile(r"(-[A-Za-z])(-?\d[\w.+-]*)")
_NO = re.compile(r"--no[-_]")

ARGUMENT = "argument"
"""Name of a positional argument, before its number."""
ALL_ARGUMENTS = "arguments"
"""Name of all positional arguments where they cannot be told apart."""
_END = "--"


@dataclass(frozen=True, slots=True)
class Piece:
    """One setting as it stands on the command line, or one occurrence of it.

    Attributes:
        name: Name of the setting: ``--batch-size``, ``-n``, ``model.depth``, ``argument 1``; the
            name of ``--no-flag`` is ``--flag``.
        tokens: What stands on the command line, word for word.
        values: The values among them.
    """

    name: str
    tokens: tuple[str, ...]
    values: tuple[str, ...] = ()

    @property
    def positional(self) -> bool:
        """Whether it is a positional argument."""
        return self.name == ALL_ARGUMENTS or self.name.startswith(f"{ARGUMENT} ")


class CommandLine(list[str]):
    """Arguments that remember which of them belong together.

    Args:
        pieces: The settings in their order.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(pieces)
        super().__init__(token for piece in self.pieces for token in piece.tokens)

    @classmethod
    def read(cls, arguments: Sequence[str], positionals: Collection[str] = ()) -> CommandLine:
        """Read arguments, unless they are read already.

        Args:
            arguments: Everything after the script.
            positionals: Words that are known to be no value of an option.

        >>> line = CommandLine.read("--lr 1e-3 --no-amp -v depth=3 -n5".split())
        >>> [(piece.name, piece.values) for piece in line.pieces][:3]
        [('--lr', ('1e-3',)), ('--amp', ('no',)), ('-v', ())]
        >>> [(piece.name, piece.values) for piece in line.pieces][3:]
        [('depth', ('3',)), ('-n', ('5',))]
        >>> [piece.name for piece in CommandLine.read("--amp a.csv".split(), {"a.csv"}).pieces]
        ['--amp', 'argument 1']
        """
        if isinstance(arguments, CommandLine) and arguments == arguments.tokens:
            return arguments
        return cls(_numbered(_pieces(list(arguments), positionals)))

    @property
    def tokens(self) -> list[str]:
        """The words that the pieces make."""
        return [token for piece in self.pieces for token in piece.tokens]

    @property
    def names(self) -> list[str]:
        """Names of the settings, each once."""
        return list(dict.fromkeys(piece.name for piece in self.pieces if piece.name != _END))

    def of(self, name: str) -> tuple[Piece, ...]:
        """All pieces of one setting."""
        return tuple(piece for piece in self.pieces if piece.name == name)

    def with_setting(self, name: str, tokens: Sequence[str], first: bool = False) -> CommandLine:
        """The same line with one setting replaced, taken out (no tokens) or put in.

        Args:
            name: Name of the setting.
            tokens: What shall stand in its place.
            first: Where the line does not have the setting: put it before everything else. A
                positional argument always is; an option comes last otherwise.

        >>> line = CommandLine.read(["--lr", "1", "--amp"])
        >>> line.with_setting("--lr", ["--lr=2"]), line.with_setting("--amp", [])
        (['--lr=2', '--amp'], ['--lr', '1'])
        >>> line.with_setting("--clip", ["--clip", "1"])
        ['--lr', '1', '--amp', '--clip', '1']
        """
        new = [Piece(name, tuple(tokens))] if tokens else []
        pieces = list(self.pieces)
        places = [index for index, piece in enumerate(pieces) if piece.name == name]
        kept = [piece for piece in pieces if piece.name != name]
        if places:
            return CommandLine([*kept[: places[0]], *new, *kept[places[0] :]])
        if first or any(piece.positional for piece in new):
            return CommandLine([*new, *kept])
        end = next((i for i, piece in enumerate(kept) if piece.name == _END), len(kept))
        return CommandLine([*kept[:end], *new, *kept[end:]])

    def together(self) -> CommandLine:
        """The same line with all positional arguments as one setting."""
        return CommandLine(
            Piece(ALL_ARGUMENTS, piece.tokens, piece.values) if piece.positional else piece
            for piece in self.pieces
        )


def _pieces(arguments: list[str], positionals: Collection[str]) -> Iterator[Piece]:
    place = 0
    while place < len(arguments):
        token = arguments[place]
        place += 1
        if token == _END:
            yield Piece(_END, (token,))
            yield from (Piece(ARGUMENT, (word,), (word,)) for word in arguments[place:])
            return
        if (match := _KEY_VALUE.fullmatch(token)) and "://" not in match["key"]:
            yield Piece(match["key"].lstrip("+~"), (token,), (match["value"],))
        elif not is_option(token):
            yield Piece(ARGUMENT, (token,), (token,))
        elif "=" in token:
            name, _, value = token.partition("=")
            yield Piece(_spelled(name), (token,), (value,))
        elif match := _SHORT.fullmatch(token):
            yield Piece(match[1], (token,), (match[2],))
        else:
            words = _words(arguments[place:], positionals)
            place += len(words)
            yield _option(token, words)


def _option(token: str, words: Sequence[str]) -> Piece:
    tokens = (token, *words)
    if not words and _NO.match(token):
        return Piece(_spelled(_NO.sub("--", token)), tokens, ("no",))
    if re.fullmatch(r"-([A-Za-z])\1+", token):
        return Piece(token[:2], tokens, (token[1:],))
    return Piece(_spelled(token), tokens, tuple(words))


def _words(arguments: Sequence[str], positionals: Collection[str]) -> list[str]:
    """The values of the option before them."""
    words: list[str] = []
    for token in arguments:
        if is_option(token) or _KEY_VALUE.fullmatch(token) or token in positionals:
            break
        words.append(token)
    return words


def _numbered(pieces: Iterable[Piece]) -> Iterator[Piece]:
    count = 0
    for piece in pieces:
        count += piece.name == ARGUMENT
        named = f"{ARGUMENT} {count}" if piece.name == ARGUMENT else piece.name
        yield Piece(named, piece.tokens, piece.values)


def _spelled(name: str) -> str:
    return name.replace("_", "-") if name.startswith("--") else name


def is_option(token: str) -> bool:
    """Whether a word is the name of an option, and not a value.

    >>> [is_option(token) for token in ("--lr", "-n", "-1e-3", "-", "data", "-.5")]
    [True, True, False, False, False, False]
    """
    return len(token) > 1 and token.startswith("-") and not _NUMBER.fullmatch(token)
