"""How a command line is read without knowing its parser, and what can be changed in it."""

from __future__ import annotations

import pytest

from remedies.arguments import CommandLine


def read(text: str, *alone: str) -> list[tuple[str, tuple[str, ...]]]:
    pieces = CommandLine.read(text.split(), alone).pieces
    return [(piece.name, piece.values) for piece in pieces]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--lr 0.1", [("--lr", ("0.1",))]),
        ("--lr=0.1", [("--lr", ("0.1",))]),
        ("--lr=", [("--lr", ("",))]),
        ("--batch_size 4", [("--batch-size", ("4",))]),
        ("--shift -0.5 --low -.5 --n -1e-3", [("--shift", ("-0.5",)), ("--low", ("-.5",)),
                                               ("--n", ("-1e-3",))]),
        ("--amp --lr 1", [("--amp", ()), ("--lr", ("1",))]),
        ("--no-amp", [("--amp", ("no",))]),
        ("--no_amp", [("--amp", ("no",))]),
        ("--norm batch", [("--norm", ("batch",))]),
        ("--no-cache-size 4", [("--no-cache-size", ("4",))]),
        ("--betas 0.9 0.95 --lr 1", [("--betas", ("0.9", "0.95")), ("--lr", ("1",))]),
        ("--aug flip --lr 1 --aug crop", [("--aug", ("flip",)), ("--lr", ("1",)),
                                          ("--aug", ("crop",))]),
        ("-n 5 -v", [("-n", ("5",)), ("-v", ())]),
        ("-n5 -l0.1", [("-n", ("5",)), ("-l", ("0.1",))]),
        ("-vv", [("-v", ("vv",))]),
        ("-lr 0.1", [("-lr", ("0.1",))]),
        ("lr=0.1 +model.depth=3 ++a@b=c", [("lr", ("0.1",)), ("model.depth", ("3",)),
                                           ("a@b", ("c",))]),
        ("--config-name big lr=0.1", [("--config-name", ("big",)), ("lr", ("0.1",))]),
        ("http://x/y=1", [("argument 1", ("http://x/y=1",))]),
        ("fit data -", [("argument 1", ("fit",)), ("argument 2", ("data",)),
                        ("argument 3", ("-",))]),
        ("fit --lr 1", [("argument 1", ("fit",)), ("--lr", ("1",))]),
        ("--lr 1 -- --not-ours", [("--lr", ("1",)), ("--", ()), ("argument 1", ("--not-ours",))]),
        ("", []),
    ],
)  # fmt: skip
def test_reading(text: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert read(text) == expected
    assert CommandLine.read(text.split()) == text.split(), "nothing is lost"


def test_a_word_that_is_known_to_stand_alone_is_no_value() -> None:
    assert read("--amp data.csv") == [("--amp", ("data.csv",))]
    assert read("--amp data.csv", "data.csv") == [("--amp", ()), ("argument 1", ("data.csv",))]


def test_a_setting_is_replaced_in_its_place() -> None:
    line = CommandLine.read("fit --lr 1 --amp data".split())
    assert line.with_setting("--lr", ["--lr=2"]) == ["fit", "--lr=2", "--amp", "data"]


def test_a_repeated_setting_is_one() -> None:
    line = CommandLine.read("--aug flip --lr 1 --aug crop".split())
    assert line.with_setting("--aug", ["--aug", "none"]) == ["--aug", "none", "--lr", "1"]
    assert line.with_setting("--aug", []) == ["--lr", "1"]


@pytest.mark.parametrize(
    ("text", "name", "first", "expected"),
    [
        ("fit --lr 1", "--clip", False, "fit --lr 1 --clip 9"),
        ("fit --lr 1", "--clip", True, "--clip 9 fit --lr 1"),
        ("--lr 1 -- x", "--clip", False, "--lr 1 --clip 9 -- x"),
        ("--betas 1 2", "argument 1", False, "9 --betas 1 2"),
    ],
)
def test_a_setting_that_was_not_there_is_put_where_no_option_swallows_it(
    text: str, name: str, first: bool, expected: str
) -> None:
    tokens = ["9"] if name.startswith("argument") else [name, "9"]
    assert CommandLine.read(text.split()).with_setting(name, tokens, first) == expected.split()


def test_a_changed_line_keeps_what_was_read() -> None:
    """Without `--lr 1` between them, `--amp` would look as if it took the word."""
    line = CommandLine.read("--amp --lr 1 -- data".split()).with_setting("--lr", [])
    assert CommandLine.read(line) is line
    line.append("--more")
    assert CommandLine.read(line).names == ["--amp", "argument 1", "argument 2"]
