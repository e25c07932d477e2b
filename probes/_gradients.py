"""How the gradient of the loss changes on its way from the last layer to the first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from probes import _series
from probes.trace import Trace

_FEWEST_LAYERS = 4
_FEWEST_POINTS = 2
_TINY = 1e-38
_ABRUPT = 0.7
_SIDE_ENTRANCES = ("Embedding", "Norm")
"""Types whose gradients are of another kind: sparse, or scale-free."""


@dataclass(frozen=True)
class Course:
    """The norm of the gradient along a model, from its first layer to its last, or over time.

    Attributes:
        where: The first layer, or the recurrent one.
        layers: Number of layers, or of steps in time.
        decades: By how many powers of ten the gradient grows from the end to the beginning;
            negative where it shrinks.
        gradual: Whether no single layer accounts for most of it.
        over_time: Whether it is the way through time, not through layers.
        first: Norm at the beginning; the one at the end is ``last``.
        last: See there.
    """

    where: str
    layers: int
    decades: float
    gradual: bool
    over_time: bool
    first: float
    last: float


def courses(trace: Trace, at_first: bool = False) -> list[Course]:
    """The courses of a run, in the median over all of it; or those of its first step."""
    found = [*_over_time(trace, at_first)]
    depth = _over_depth(trace, at_first)
    return [depth, *found] if depth else found


def _over_depth(trace: Trace, at_first: bool) -> Course | None:
    """Along the layers that are called once in a pass, in the order of the forward pass."""
    norms = []
    for where in trace.places("output.mean"):
        info = trace.modules.get(where)
        if info is None or any(kind in info.type for kind in _SIDE_ENTRANCES):
            continue
        if len(trace.signal("train", where, "gradient.call4")):
            continue
        norm = _norm(trace, where, 1, at_first)
        if norm is not None:
            norms.append((where, norm))
    if len(norms) < _FEWEST_LAYERS:
        return None
    logs = [math.log10(max(norm, _TINY)) for _, norm in norms]
    decades = logs[0] - logs[-1]
    changes = [one - other for one, other in zip(logs, logs[1:], strict=False)]
    largest = max(changes, key=lambda change: change * math.copysign(1.0, decades))
    gradual = abs(largest) <= _ABRUPT * abs(decades)
    where = norms[0][0]
    return Course(where, len(norms), decades, gradual, False, norms[0][1], norms[-1][1])


def _over_time(trace: Trace, at_first: bool) -> list[Course]:
    found = []
    for where in trace.places("gradient.time"):
        shares = trace.signal("train", where, "gradient.time").finite.values
        share = _series.middle(shares[:1] if at_first else shares)
        length = trace.signal("train", where, "gradient.length").finite.values
        if share is not None and length:
            decades = math.log10(max(share, _TINY))
            found.append(Course(where, int(length[-1]), decades, True, True, share, 1.0))
    for where in trace.places("gradient.call8"):
        calls = [1 << power for power in range(20)]
        known = [(n, norm) for n in calls if (norm := _norm(trace, where, n, at_first)) is not None]
        if len(known) < 4 or known[0][0] != 1:
            continue
        logs = [math.log10(max(norm, _TINY)) for _, norm in known]
        end = max(logs[1:]) if logs[0] < logs[-1] else min(logs[1:])
        first, last = known[0][1], 10**end
        found.append(Course(where, known[-1][0], logs[0] - end, True, True, first, last))
    return found


def _norm(trace: Trace, where: str, call: int, at_first: bool) -> float | None:
    values = trace.signal("train", where, f"gradient.call{call}").finite.values
    return (
        _series.middle(values[:1] if at_first else values)
        if len(values) >= _FEWEST_POINTS
        else None
    )
