"""How far a run is on the way from the bad configuration to the good one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from agent.scale import LEAST_GAIN
from agent.workload import Outcome
from probes.objective import Objective
from probes.trace import Trace

_HALF = 0.5
_OUTLIER = 10.0
"""How often as far as from its start to its end a good run may be from the bad one."""
_JITTERS = 2.0
"""Jitters of the metric by which the good run has to be better than the bad one."""


@dataclass(frozen=True)
class Yardstick:
    """The way from a bad run to a good one of the same seed, by the metric.

    A run that diverged has no value that a way could start from, and one that ended far worse than
    it began (a loss of 1e6) would make everything look half recovered. In both cases the way
    starts where the good run did: with a model that has not learned yet.

    Attributes:
        objective: The metric.
        bad: Where the way starts.
        good: Where it ends.
        jitter: How much the metric moves from one report to the next, at the end of a run.
    """

    objective: Objective
    bad: float
    good: float
    jitter: float

    @classmethod
    def between(cls, objective: Objective, bad: Outcome, good: Outcome) -> Yardstick:
        """The way between two runs."""
        start, end = bad.value(objective), good.value(objective)
        first = objective.series(good.trace).finite.values[:1]
        learned = objective.gain(first[0], end) if first else 0.0
        if learned > 0 and objective.gain(start, first[0]) > _OUTLIER * learned:
            start = first[0]
        jitter = max(_jitter(objective, run.trace) for run in (bad, good))
        return cls(objective, start, end, jitter)

    @property
    def leads_up(self) -> bool:
        """Whether the good run is better than the bad one, by more than the metric's jitter."""
        if not _real(self.objective, self.good):
            return False
        least = LEAST_GAIN * min(abs(self.bad), abs(self.good))
        return self.objective.gain(self.bad, self.good) > max(_JITTERS * self.jitter, least)

    def share(self, outcome: Outcome) -> float:
        """Which share of the way a run has gone; not above 0 where it has no value at its end."""
        value = outcome.value(self.objective)
        if not _real(self.objective, value):
            return 0.0
        way = self.objective.gain(self.bad, self.good)
        return self.objective.gain(self.bad, value) / way if way > 0 else 0.0

    def recovered(self, outcome: Outcome) -> bool:
        """Whether a run is at least half way to the good one."""
        return self.share(outcome) >= _HALF


def _jitter(objective: Objective, trace: Trace) -> float:
    values = objective.series(trace).finite.values
    late = values[len(values) // 2 :]
    return median(abs(b - a) for a, b in zip(late, late[1:], strict=False)) if late[1:] else 0.0


def _real(objective: Objective, value: float) -> bool:
    return math.isfinite(value) and abs(value) < abs(objective.worst)
