"""Branches of a network whose weights are still random: how much they contribute to the stream."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from probes.trace import Trace

_RANDOM = 0.1
"""Path length of the weights, over their initial norm, up to which they count as random."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A module whose output is added to the stream that it is fed from.

    Attributes:
        where: The module.
        ratio: What it adds over what it is added to, as root mean squares, while its weights are
            random: the median.
        random_until: Step up to which its weights count as random.
        inputs: How many tensors it is given, where it adds within itself; else 0.
    """

    where: str
    ratio: float
    random_until: int
    inputs: int


def branches(trace: Trace) -> list[Branch]:
    """All branches of a run, the largest contribution first.

    A module that does nothing but add a child's output to its input stands for that child.
    """
    places = trace.places("branch.ratio")
    whole = {where for where in trace.places("branch.inputs") if where in places}
    inner = {where for where in places for outer in whole if where.startswith(outer + ".")}
    found = [_branch(trace, where) for where in places if where not in inner]
    return sorted((b for b in found if b is not None), key=lambda branch: -branch.ratio)


def _branch(trace: Trace, where: str) -> Branch | None:
    until = _random_until(trace, where)
    ratios = trace.signal("train", where, "branch.ratio").finite
    if not ratios:
        return None
    early = [value for step, value in ratios if step <= until] or ratios.values[:1]
    inputs = trace.signal("train", where, "branch.inputs").finite.values
    return Branch(where, statistics.median(early), until, int(inputs[0]) if inputs else 0)


def _random_until(trace: Trace, where: str) -> int:
    """The step at which the weights of a module have gone a tenth of their initial norm.

    The way is the sum of the updates, interpolated between probed steps: an upper bound of the
    distance from where they began. It is 0 where no updates are known.
    """
    own = [name for name in trace.places("update.norm") if name.startswith(where + ".")]
    gone = [step for name in own if (step := _gone_far(trace, name)) is not None]
    if gone:
        return int(statistics.median(gone))
    return trace.steps if own else 0


def _gone_far(trace: Trace, parameter: str) -> int | None:
    weights = trace.signal("train", parameter, "weight.norm").finite.values
    if not weights or weights[0] == 0:
        return None
    way, previous = 0.0, None
    for step, update in trace.signal("train", parameter, "update.norm").finite:
        way += update * (step - previous if previous is not None else 1)
        previous = step
        if way > _RANDOM * weights[0]:
            return step
    return None
