"""How common the classes of a loss are, and whether their weights make that worse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from probes.trace import Trace

_UNEQUAL = 3.0
"""Times that the commonest class is as common as the rarest one, from which on weights matter."""
_WEIGHED = 2.0
_ALIKE = 0.7
"""Correlation of the logarithms from which on weights grow with the shares."""


def are_upside_down(weights: Sequence[float], shares: Sequence[float]) -> bool:
    """Whether a class weighs the more, the commoner it is.

    >>> are_upside_down([3.2, 0.9, 0.4], [0.7, 0.2, 0.1])
    True
    >>> are_upside_down([0.4, 0.9, 3.2], [0.7, 0.2, 0.1]), are_upside_down([1, 1, 1], [0.7, 0.2, 0])
    (False, False)
    """
    known = [(w, s) for w, s in zip(weights, shares, strict=True) if w > 0 and s > 0]
    if len(known) < 2:
        return False
    first, second = ([math.log(value) for value in each] for each in zip(*known, strict=True))
    if max(first) - min(first) < math.log(_WEIGHED):
        return False
    if max(second) - min(second) < math.log(_UNEQUAL):
        return False
    means = sum(first) / len(first), sum(second) / len(second)
    pairs = [(a - means[0], b - means[1]) for a, b in zip(first, second, strict=True)]
    size = math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))
    return sum(a * b for a, b in pairs) >= _ALIKE * size


def of_classes(trace: Trace, line: str, name: str) -> list[float]:
    """The mean of a signal of each class, ``label.share`` for example, at the line of a loss."""
    found: list[float] = []
    while values := trace.signal("train", line, f"{name}.{len(found)}").finite.values:
        found.append(fmean(values))
    return found
