"""What differs between two command lines."""

from __future__ import annotations

import pytest

from remedies.arguments import differences


def differ(bad: str, good: str) -> list[tuple[str, str, str]]:
    return [(d.name, d.bad, d.good) for d in differences(bad.split(), good.split())]


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("--lr 0.1", "--lr=1e-1"),
        ("--batch_size 4", "--batch-size 4"),
        ("--a 1 --b 2", "--b 2 --a 1"),
        ("lr=0.1", "+lr=0.10"),
        ("fit --lr 1", "--lr 1 fit"),
        ("-n5", "-n 5"),
    ],
)
def test_what_means_the_same_is_no_difference(bad: str, good: str) -> None:
    assert differ(bad, good) == differ(good, bad) == []


@pytest.mark.parametrize(
    ("bad", "good", "expected"),
    [
        ("--lr 0.3", "--lr 0.1", [("--lr", "--lr 0.3", "--lr 0.1")]),
        ("--amp", "", [("--amp", "--amp", "")]),
        ("", "--amp", [("--amp", "", "--amp")]),
        ("--no-amp", "--amp", [("--amp", "--no-amp", "--amp")]),
        ("--a 1 2", "--a 1 3", [("--a", "--a 1 2", "--a 1 3")]),
        ("--a 1 2", "--a 1 --a 2", [("--a", "--a 1 2", "--a 1 --a 2")]),
        ("--a 1 --a 2", "--a 2", [("--a", "--a 1 --a 2", "--a 2")]),
        ("--name 007", "--name 7x", [("--name", "--name 007", "--name 7x")]),
        ("-v", "-vvv", [("-v", "-v", "-vvv")]),
        ("a.csv b.csv", "a.csv c.csv", [("argument 2", "b.csv", "c.csv")]),
        ("a.csv", "fit a.csv", [("arguments", "a.csv", "fit a.csv")]),
        ("a.csv --lr 1", "--lr 2 a.csv", [("--lr", "--lr 1", "--lr 2")]),
    ],
)
def test_differences(bad: str, good: str, expected: list[tuple[str, str, str]]) -> None:
    assert differ(bad, good) == expected


def test_values_are_quoted_for_a_shell() -> None:
    (found,) = differences(["--name", "it's new"], ["--name", "it's"])
    assert (found.bad, found.good) == ("--name 'it'\"'\"'s new'", "--name 'it'\"'\"'s'")


def test_an_option_before_a_subcommand_stays_before_it() -> None:
    (found,) = differences("fit --lr 1".split(), "--debug fit --lr 1".split())
    assert (found.name, found.first) == ("--debug", True)
    (found,) = differences("fit --lr 1".split(), "fit --lr 1 --debug".split())
    assert (found.name, found.first) == ("--debug", False)
