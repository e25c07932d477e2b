"""How much of a long run the trials need: a prefix that already shows the symptoms.

A diagnosis takes some twenty runs of the script. Where these would take longer than the user has
time for, trials stop early. Control and treated run stop at the same step, and the symptoms and the
metric of the control are read anew from its trace up to that step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.workload import Outcome
from probes.facts import Ending
from probes.objective import Objective
from probes.symptom import Symptom

_LEAST_REPORTS = 3
"""Reports of the metric that a prefix must have."""

Read = Callable[[Outcome], tuple[Symptom, ...]]


@dataclass(frozen=True)
class Prefix:
    """The part of the run that the trials make.

    Attributes:
        outcome: The untreated run up to there.
        steps: Optimizer steps after which a trial is stopped.
        of: Steps of the whole run, as far as it came.
    """

    outcome: Outcome
    steps: int
    of: int


def cut(outcome: Outcome, steps: int) -> Outcome:
    """A run as it would have been with that step limit."""
    trace, ending = outcome.trace.before(steps), outcome.trace.ending
    share = steps / max(1, outcome.trace.steps)
    seconds = share * (ending.seconds if ending else outcome.seconds)
    trace.ending = Ending("stopped", seconds=seconds, steps=steps)
    return replace(outcome, trace=trace, seconds=share * outcome.seconds, place=None)


def choose(
    baseline: Outcome, objective: Objective, read: Read, runs: float, budget: float
) -> Prefix | None:
    """The longest prefix with which the diagnosis keeps within its time, and that is sick enough.

    Where no such prefix shows the symptoms, the shortest one that does.

    Args:
        baseline: The whole untreated run; one that ran out of time counts as long as it came.
        objective: The metric.
        read: Reads symptoms from a run.
        runs: Runs that are to come, one after the other.
        budget: Seconds for all of them.

    Returns:
        None where the whole run is needed, or can be afforded.
    """
    trace = baseline.trace
    seconds = (trace.ending.seconds if trace.ending else 0.0) or baseline.seconds
    broken = baseline.status == "timeout"
    if seconds * runs <= budget and not broken:
        return None
    # A report comes after its step, where a run that is stopped there would not get to.
    ends = sorted({step + 1 for step in objective.series(trace).steps})[_LEAST_REPORTS - 1 :]
    ends = [end for end in ends if end < trace.steps or (broken and end <= trace.steps)]
    share = budget / (seconds * runs) if seconds else 1.0
    affordable = [end for end in ends if end <= share * trace.steps]
    wanted = _alarms(read(baseline))
    for end in [*_spread(affordable)[::-1], *_spread(ends[len(affordable) :])]:
        shortened = cut(baseline, end)
        if wanted and wanted <= _alarms(read(shortened)):
            return Prefix(shortened, end, trace.steps)
    return None


def _alarms(symptoms: tuple[Symptom, ...]) -> set[str]:
    return {symptom.code for symptom in symptoms if symptom.alarming}


def _spread(ends: list[int], at_most: int = 16) -> list[int]:
    """Some of many, evenly, the first and the last among them."""
    if len(ends) <= at_most:
        return ends
    return [ends[round(place * (len(ends) - 1) / (at_most - 1))] for place in range(at_most)]
