"""Delta debugging against oracles that count: what it finds, and in how many tests."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest

from agent.delta import Names, Test, ddmin, looked_up, minimal, questions

EIGHT = "abcdefgh"


class Oracle:
    """Answers by a rule, and counts what it had to find out."""

    def __init__(self, rule: Callable[[Names], bool]) -> None:
        self.rule = rule
        self.known: dict[Names, bool] = {}

    def __call__(self, names: Names) -> bool:
        if names not in self.known:
            self.known[names] = self.rule(names)
        return self.known[names]

    @property
    def tests(self) -> int:
        return len(self.known)


def needs(*wanted: str) -> Oracle:
    return Oracle(lambda names: set(wanted) <= names)


def is_minimal(found: tuple[str, ...], rule: Callable[[Names], bool]) -> bool:
    kept = frozenset(found)
    return rule(kept) and not any(rule(kept - {name}) for name in kept)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_is_needed_is_found_exactly_wherever_it_is(size: int) -> None:
    for wanted in combinations(EIGHT, size):
        assert minimal(EIGHT, needs(*wanted)) == wanted


def test_one_of_eight_takes_at_most_six_tests_and_two_at_most_eleven() -> None:
    def worst(size: int) -> int:
        counts = []
        for wanted in combinations(EIGHT, size):
            oracle = needs(*wanted)
            minimal(EIGHT, oracle)
            counts.append(oracle.tests)
        return max(counts)

    assert (worst(1), worst(2)) == (6, 11)


def test_the_guess_by_halves_takes_fewer_tests_than_ddmin_alone() -> None:
    guessed, alone = needs("b", "g"), needs("b", "g")
    assert minimal(EIGHT, guessed) == ddmin(EIGHT, alone) == ("b", "g")
    assert guessed.tests < 0.6 * alone.tests


def test_a_likely_one_in_front_is_found_sooner() -> None:
    even, weighted = needs("a"), needs("a")
    weights = {name: 8.0 if name == "a" else 1.0 for name in EIGHT}
    assert minimal(EIGHT, even) == minimal(EIGHT, weighted, weights) == ("a",)
    assert (weighted.tests, even.tests) == (1, 3)


@pytest.mark.parametrize("name", EIGHT)
def test_where_either_of_two_will_do_one_of_them_is_found(name: str) -> None:
    oracle = Oracle(lambda names: bool({"c", name} & names))
    assert minimal(EIGHT, oracle) in (("c",), (name,))


def test_without_monotony_nothing_can_be_left_out_of_the_result_either() -> None:
    # "d" spoils what "a" achieves unless "e" is there, and "h" helps with "b" only.
    def rule(names: Names) -> bool:
        return ("a" in names and ("d" not in names or "e" in names)) or {"b", "h"} <= names

    for order in ("abcdefgh", "hgfedcba", "dacebgfh", "edhbacgf"):
        assert rule(frozenset(order)) and not rule(frozenset())
        assert is_minimal(minimal(order, Oracle(rule)), rule)


def test_every_small_rule_gives_something_minimal() -> None:
    """All rules over three names by which everything passes and nothing fails."""
    subsets = [frozenset(c) for size in range(4) for c in combinations("abc", size)]
    for number in range(2**6):
        passing = {subsets[7]} | {s for bit, s in enumerate(subsets[1:7]) if number >> bit & 1}
        for order in ("abc", "cba", "bac"):
            found = minimal(order, passing.__contains__)
            assert is_minimal(found, passing.__contains__), (number, order, found)


def test_a_single_difference_needs_no_test() -> None:
    assert minimal("a", Oracle(lambda names: pytest.fail("asked"))) == ("a",)


def search(test: Test) -> tuple[str, ...]:
    return minimal("abcd", test)


def test_questions_come_in_the_order_of_their_use() -> None:
    first, if_it_passes, if_it_fails = questions(search, {}, 3)
    assert (first, if_it_passes) == (frozenset("ab"), frozenset("a"))
    assert questions(search, {first: True}, 1) == [if_it_passes]
    assert questions(search, {first: False}, 1) == [if_it_fails]


def test_nothing_is_asked_twice_and_in_the_end_nothing_at_all() -> None:
    oracle, known = needs("b", "c"), dict[Names, bool]()
    while asked := questions(search, known, 2):
        assert len(set(asked)) == len(asked) and not set(asked) & set(known)
        known |= {names: oracle(names) for names in asked}
    assert search(looked_up(known)) == ("b", "c")
