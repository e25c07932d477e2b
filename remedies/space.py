"""The values that a remedy's parameters may take."""

from __future__ import annotations

from dataclasses import dataclass

Value = float | int | str | bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values; the first is tried first."""

    options: tuple[Value, ...]

    @property
    def default(self) -> Value:
        """The value to try first."""
        return self.options[0]


@dataclass(frozen=True, slots=True)
class Range:
    """A number between two bounds; ``log`` where its order of magnitude is what counts."""

    low: float
    high: float
    default: float
    log: bool = False


Space = dict[str, Choice | Range]
