"""Delta debugging: the smallest set of differences that still decides whether a run is good.

`minimal` is ``ddmin`` (Zeller and Hildebrandt 2002, Simplifying and Isolating Failure-Inducing
Input), started from a guess. The guess is made by halving (Junker 2004, QuickXplain): it takes
about k log2(n / k) + 2 k tests for k of n differences, where ``ddmin`` alone takes several times
as many, and it is right where the differences are monotone, that is, where more of what helps
never hurts. Where they are not, the guess fails its own test and ``ddmin`` starts from everything.
Either way nothing can be left out of the result: that is tested, not inferred.

A test is a run of minutes or hours, so a search is written as a plain function of the answers and
replayed: it stops at the first answer that is not known yet. That is the next test to run, and
replaying it under both of the possible answers tells what the tests after that may be, for slots
that would be idle otherwise (`questions`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")
Names = frozenset[str]
Test = Callable[[Names], bool]
Weights = Mapping[str, float]


class Unknown(Exception):
    """A search needs an answer that is not known yet.

    Attributes:
        names: The set that it asks about.
    """

    def __init__(self, names: Names) -> None:
        super().__init__(", ".join(sorted(names)))
        self.names = names


def minimal(names: Sequence[str], test: Test, weights: Weights | None = None) -> tuple[str, ...]:
    """A subset that passes, and of which no single name can be left out.

    Args:
        names: Everything; it passes, and nothing of it does not. Likely ones first.
        test: Whether a subset passes.
        weights: How likely each one is to be in the result, relative to the others: sets are
            halved by weight, so that a likely one is found in fewer tests.

    >>> minimal("abcdefgh", lambda names: {"b", "g"} <= names)
    ('b', 'g')
    """
    weights = weights or dict.fromkeys(names, 1.0)
    if len(names) < 2:
        return tuple(names)
    guess = _guess((), False, tuple(names), test, weights)
    ordered = tuple(name for name in names if name in guess)
    return ddmin(ordered if test(frozenset(ordered)) else names, test)


def ddmin(names: Sequence[str], test: Test) -> tuple[str, ...]:
    """The ``ddmin`` of Zeller and Hildebrandt.

    Args:
        names: Everything; it passes, and nothing of it does not.
        test: Whether a subset passes.
    """
    kept, parts = tuple(names), 2
    while len(kept) > 1:
        subsets = _cut(kept, parts)
        complements = [tuple(n for n in kept if n not in subset) for subset in subsets]
        smaller = _first(subsets, test)
        if smaller is not None:
            kept, parts = smaller, 2
        elif (rest := _first(complements, test) if parts > 2 else None) is not None:
            kept, parts = rest, max(parts - 1, 2)
        elif parts < len(kept):
            parts = min(2 * parts, len(kept))
        else:
            break
    return kept


def questions(
    search: Callable[[Test], object], known: Mapping[Names, bool], most: int
) -> list[Names]:
    """The sets that a search asks about next, in the order in which they are worth a test.

    Args:
        search: The search, as a function of the test.
        known: Answers so far.
        most: How many are wanted.

    Returns:
        First the one that is needed now, then those that may be needed after it. Empty where the
        search has all that it needs.

    >>> halves = lambda test: minimal("abcd", test)
    >>> [sorted(names) for names in questions(halves, {}, 3)]
    [['a', 'b'], ['a'], ['a', 'b', 'c']]
    """
    found: list[Names] = []
    assumptions: deque[dict[Names, bool]] = deque([{}])
    while assumptions and len(found) < most:
        assumed = assumptions.popleft()
        names = _asks(search, {**known, **assumed})
        if names is not None:
            found += [names] if names not in found else []
            assumptions += [{**assumed, names: True}, {**assumed, names: False}]
    return found


def looked_up(known: Mapping[Names, bool]) -> Test:
    """The test that looks its answers up.

    Raises:
        Unknown: From the test, when an answer is not there.
    """

    def test(names: Names) -> bool:
        if names not in known:
            raise Unknown(names)
        return known[names]

    return test


def _asks(search: Callable[[Test], object], known: Mapping[Names, bool]) -> Names | None:
    try:
        search(looked_up(known))
    except Unknown as question:
        return question.names
    return None


def _guess(
    beside: tuple[str, ...], grown: bool, names: tuple[str, ...], test: Test, weights: Weights
) -> tuple[str, ...]:
    """What of ``names`` is needed beside what is there already.

    Args:
        beside: What is there.
        grown: Whether that has grown since it was found not to pass by itself.
        names: What passes together with it.
        test: Whether a subset passes.
        weights: To halve by.
    """
    if grown and test(frozenset(beside)):
        return ()
    if len(names) == 1:
        return names
    first, second = _halves(names, weights)
    of_second = _guess((*beside, *first), True, second, test, weights)
    of_first = _guess((*beside, *of_second), bool(of_second), first, test, weights)
    return (*of_first, *of_second)


def _halves(names: tuple[str, ...], weights: Weights) -> tuple[tuple[str, ...], tuple[str, ...]]:
    sums = list(accumulate(weights[name] for name in names))
    place = min(range(1, len(names)), key=lambda at: abs(2 * sums[at - 1] - sums[-1]))
    return names[:place], names[place:]


def _cut(names: Sequence[T], parts: int) -> list[tuple[T, ...]]:
    bounds = [len(names) * part // parts for part in range(parts + 1)]
    return [tuple(names[low:high]) for low, high in zip(bounds, bounds[1:], strict=False)]


def _first(subsets: Iterable[tuple[str, ...]], test: Test) -> tuple[str, ...] | None:
    return next((subset for subset in subsets if test(frozenset(subset))), None)
