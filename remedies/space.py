"""The values that a remedy's parameters may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

Value = float | int | str | bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values; the first is tried first.

    Attributes:
        options: The values.
        usual: How many of them, from the first on, are worth a trial where the remedy was not
            asked for (``--try``); 0 for all.
    """

    options: tuple[Value, ...]
    usual: int = 0

    @property
    def default(self) -> Value:
        """The value to try first."""
        return self.options[0]


@dataclass(frozen=True, slots=True)
class Range:
    """A number between two bounds; ``log`` where its order of magnitude is what counts.

    Attributes:
        only_with: Another parameter, earlier in the space, and its value with which this one means
            something; without that value the parameter is left out of the action.
    """

    low: float
    high: float
    default: float
    log: bool = False
    only_with: tuple[str, Value] | None = None


Space = dict[str, Choice | Range]


def is_active(dimension: Choice | Range, params: Mapping[str, Value]) -> bool:
    """Whether a parameter means something beside the others."""
    if isinstance(dimension, Choice) or dimension.only_with is None:
        return True
    other, value = dimension.only_with
    return params.get(other) == value


def complete(space: Space, params: Mapping[str, Value]) -> dict[str, Value]:
    """The parameters with defaults for those that lack, and without those that mean nothing.

    >>> space: Space = {
    ...     "how": Choice(("by", "all")), "factor": Range(0, 9, 2, only_with=("how", "by"))
    ... }
    >>> complete(space, {}), complete(space, {"how": "all", "factor": 3})
    ({'how': 'by', 'factor': 2}, {'how': 'all'})
    """
    full = {name: dimension.default for name, dimension in space.items()} | dict(params)
    return {
        name: value
        for name, value in full.items()
        if name not in space or is_active(space[name], full)
    }


def usual(space: Space) -> Space:
    """The part of a space that is searched where nobody asked for all of it."""
    return {
        name: replace(dimension, options=dimension.options[: dimension.usual])
        if isinstance(dimension, Choice) and dimension.usual
        else dimension
        for name, dimension in space.items()
    }
