"""The peaks of functions that multiply a rate, and which functions are asked for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import exp
from types import ModuleType

import numpy as np
import pytest

from probes.tap.multipliers import peak

WIDTH = 512
counted = 0


def noam(step: int, width: int, warm: int = 4000) -> float:
    step = step or 1
    return float(width) ** -0.5 * min(step**-0.5, step * warm**-1.5)


def cosine(step: int) -> float:
    warm, total = 150, 360
    if step < warm:
        return (step + 1) / warm
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm)))


def made(warm: float) -> Callable[[int], float]:
    return lambda step: np.minimum(0.25, step / warm)


@pytest.mark.parametrize(
    ("function", "highest"),
    [
        (lambda step: noam(step, WIDTH), (WIDTH * 4000) ** -0.5),
        (cosine, 1.0),
        (lambda step: exp(-step), 1.0),
        (made(900.0), 0.25),
        (lambda step, floor=0.01: max(floor, 0.0), 0.01),
        (lambda step: 0.5**step, 1.0),
        (lambda step: (3.0, 2.0)[step], 3.0),
        (lambda step: 0.0, 0.0),
    ],
)
def test_the_highest_value_is_found(function, highest: float) -> None:
    assert peak(function) == pytest.approx(highest, rel=0.1)


class Holder:
    rate = 0.5

    def method(self, step: int) -> float:
        return self.rate

    def __call__(self, step: int) -> float:
        return self.rate


def counts(step: int) -> float:
    global counted
    counted += 1
    return 1.0


def keeps() -> Callable[[int], float]:
    last = 0

    def keep(step: int) -> float:
        nonlocal last
        last = step
        return 1.0

    return keep


def asks(function: Callable[[int], float]) -> Callable[[int], float]:
    return lambda step: function(step)


tracker = ModuleType("tracker")
tracker.log = counts  # type: ignore[attr-defined]


def loops(step: int) -> float:
    while step > 1:
        step -= 1
    return step


def imports(step: int) -> float:
    import math

    return math.cos(step)


def fills(step: int, seen: list[int] = []) -> float:  # noqa: B006
    seen[0:0] = [step]
    return 1.0


@pytest.mark.parametrize(
    "function",
    [
        counts,
        keeps(),
        loops,
        imports,
        fills,
        Holder(),
        Holder().method,
        lambda step: print(step) or 1.0,
        lambda step: Holder() and 1.0,
        lambda step: np.random.rand(),
        lambda step: counts(step),
        lambda step, ask=counts: ask(step),
        asks(counts),
        lambda step: tracker.log(step),
        lambda step: (lambda: 1.0)(),
        lambda step: Holder.rate,
        lambda step: step[0],
        max,
        None,
    ],
)
def test_what_is_more_than_arithmetic_has_none(function) -> None:
    assert peak(function) is None
    assert counted == 0
