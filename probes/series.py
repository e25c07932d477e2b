"""A recorded time series."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from typing import Protocol


class Numbers(Protocol):
    """A column of machine numbers: an array of Python's, or of NumPy's."""

    def tobytes(self) -> bytes:
        """As they lie in memory."""


class Series:
    """One recorded time series: values at optimizer steps, in the order they came.

    Kept as machine numbers: a trace of a large model has millions of them.

    Args:
        steps: Optimizer steps.
        values: The value at each of them.
    """

    __slots__ = ("_steps", "_values")

    def __init__(self, steps: Iterable[int] = (), values: Iterable[float] = ()) -> None:
        self._steps = array("q", steps)
        self._values = array("d", values)

    @property
    def steps(self) -> list[int]:
        """The steps, as a list of its own."""
        return self._steps.tolist()

    @property
    def values(self) -> list[float]:
        """The values, as a list of its own."""
        return self._values.tolist()

    @property
    def columns(self) -> tuple[array[int], array[float]]:
        """Steps and values as they are held, 64 bits each: to be read only."""
        return self._steps, self._values

    def append(self, step: int, value: float) -> None:
        """Add one point."""
        self._steps.append(step)
        self._values.append(value)

    def extend(self, steps: Numbers, values: Numbers) -> None:
        """Add many points: integers and floats of 64 bits."""
        self._steps.frombytes(steps.tobytes())
        self._values.frombytes(values.tobytes())

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter(zip(self._steps, self._values, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Series):
            return NotImplemented
        return self._steps == other._steps and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # It grows.

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.steps}, {self.values})"

    @property
    def finite(self) -> Series:
        """The same series without NaN and infinities."""
        kept = [(step, value) for step, value in self if math.isfinite(value)]
        return Series([step for step, _ in kept], [value for _, value in kept])

    def since(self, step: int) -> Series:
        """The part of the series at ``step`` and later."""
        kept = [(s, value) for s, value in self if s >= step]
        return Series([s for s, _ in kept], [value for _, value in kept])


class MetricSeries(Series):
    """A metric of the script.

    Args:
        steps: Optimizer steps.
        values: The value at each of them.
        source: Where it was read: ``printed``, ``mlflow``, ``tensorboard`` or ``wandb``.
    """

    __slots__ = ("source",)

    def __init__(
        self,
        steps: Iterable[int] = (),
        values: Iterable[float] = (),
        source: str = "printed",
    ) -> None:
        super().__init__(steps, values)
        self.source = source
