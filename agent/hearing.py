"""Hears treatments: each gets one trial, held against the control of the search seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.heard import Heard
from agent.trials import Trials
from agent.workload import Outcome
from probes.trace import Event
from remedies.treatment import Treatment

if TYPE_CHECKING:
    from agent.study import Study

Settled = Callable[[Treatment], bool]


class Hearing:
    """Hears treatments on one seed, and remembers what came of them.

    Args:
        trials: Runs them.
        seed: Trial seed of the search; its control must have run.
        budget: What may have been spent in all when the last trial ends, in baseline runs.
        reserve: What of it is left alone once a treatment recovers: to prove it may cost more.
    """

    def __init__(self, trials: Trials, seed: int, budget: float, reserve: float = 0.0) -> None:
        self._trials = trials
        self._seed = seed
        self._budget = budget
        self._reserve = reserve
        self._recovered = False  # To look through all that was heard is too dear at every trial.
        self.heard: list[Heard] = []
        self._known: dict[Treatment, Heard] = {}

    def affordable(self, running: int = 0) -> bool:
        """Whether one more trial fits into the budget, besides those that run."""
        kept = self._reserve if self._recovered else 0.0
        return self._trials.spent + running + 1 <= self._budget - kept

    def known(self, treatment: Treatment) -> Heard | None:
        """What came of a treatment that was heard already."""
        return self._known.get(treatment)

    def hear(self, treatment: Treatment) -> Heard | None:
        """Give a treatment its trial, unless it had one; None where the budget is spent."""
        if (known := self.known(treatment)) is not None:
            return known
        if not self.affordable():
            return None
        self._trials.start(treatment, self._seed, "search")
        return self._read(self._trials.next())

    def run(self, study: Study, trials: int, settled: Settled) -> list[Heard]:
        """Run up to so many trials of a study, as many at a time as there are slots.

        Args:
            study: Proposes them.
            trials: How many at most.
            settled: Whether a treatment has become pointless by what was heard meanwhile.

        Returns:
            What came of them, of those that were heard before, too.
        """
        running: dict[int, int] = {}
        pruned: set[int] = set()
        found: list[Heard] = []

        def watch(number: int, event: Event) -> bool:
            value = self._metric_value(event)
            if number not in running or number in pruned or value is None:
                return False
            study.report(running[number], event["step"], value)
            if study.should_prune(running[number]):
                pruned.add(number)
            return number in pruned

        while trials or running:
            while trials and len(running) < self._trials.slots:
                trials -= 1
                asked = study.ask() if self.affordable(len(running)) else None
                if asked is None:
                    trials = 0
                    break
                if (known := self.known(asked.treatment)) is not None:
                    study.tell(asked.number, known.assessment.value)
                    found.append(known)
                    continue
                if settled(asked.treatment):
                    study.tell_failed(asked.number)
                    continue
                number = self._trials.start(asked.treatment, self._seed, "search")
                running[number] = asked.number
            if running:
                outcome = self._trials.next(watch)
                number = outcome.spec.number
                heard = self._read(outcome, number in pruned)
                _tell(study, running.pop(number), heard)
                found.append(heard)
        return found

    def disprove(self, treatment: Treatment) -> None:
        """Count a treatment for nothing that was not confirmed: it was lucky on this seed."""
        for place, heard in enumerate(self.heard):
            if heard.treatment == treatment:
                self.heard[place] = self._known[treatment] = replace(heard, disproved=True)
        self._recovered = any(heard.recovers for heard in self.heard)

    def _metric_value(self, event: Event) -> float | None:
        objective = self._trials.objective
        if event["event"] == "metric" and objective and event["name"] == objective.name:
            return float(event["value"])
        return None

    def _read(self, outcome: Outcome, pruned: bool = False) -> Heard:
        pruned = pruned and outcome.status == "cancelled"
        heard = Heard(outcome.spec.treatment, self._trials.assess(outcome), pruned)
        self.heard.append(heard)
        self._recovered = self._recovered or heard.recovers
        self._known.setdefault(heard.treatment, heard)
        self._trials.conclude(outcome, _verdict(heard))
        return heard


def _verdict(heard: Heard) -> str:
    if heard.pruned:
        return "pruned"
    if heard.assessment.broken and not heard.assessment.reported:
        return "failed"
    return "recovers" if heard.recovers else "refuted"


def _tell(study: Study, asked: int, heard: Heard) -> None:
    match _verdict(heard):
        case "pruned":
            study.tell_pruned(asked)
        case "failed":
            study.tell_failed(asked)
        case _:
            study.tell(asked, heard.assessment.value)
