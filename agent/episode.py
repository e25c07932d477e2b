"""One debugging session over one workload: observe, try, confirm.

This is the engine. It chooses nothing: a policy plays it to a diagnosis (`agent.policies`), and the
Gymnasium environment steps it (`agent.env`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from agent.assessment import Assessment
from agent.candidate import Candidate
from agent.confirm import FURTHER, Confirmation, Confirmer
from agent.experience import Experience
from agent.findings import Findings
from agent.heard import Heard, worth_confirming
from agent.hearing import Hearing, Settled
from agent.observation import observe
from agent.progress import Listener
from agent.ranking import Hypothesis, everything, rank
from agent.request import Request
from agent.selection import named
from agent.study import Sampler, Study
from agent.trials import Trials
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.treatment import CONTROL, Treatment

_MOST_CONFIRMATIONS = 2
"""Treatments that are put to the confirmation before the session gives up."""

Journal = Callable[[], tuple[str, Path | str]]
"""Gives the name of a session's searches, and where Optuna stores them."""


class Episode:
    """What can be done in a debugging session, and what is known so far.

    Args:
        request: What to diagnose, and how.
        trials: Runs the trials.
        remedies: Those that may be used.
        journal: Asked when the first search begins.
        experience: What earlier sessions say about the remedies.

    Attributes:
        findings: What is known so far.
    """

    def __init__(
        self,
        request: Request,
        trials: Trials,
        remedies: Sequence[Remedy],
        journal: Journal,
        experience: Callable[[], Experience] = Experience,
    ) -> None:
        self._request = request
        self._trials = trials
        self._remedies = tuple(remedies)
        self._journal = journal
        self._experience = experience
        self._hearing = Hearing(trials, self.seed, self.search_budget, 2.0 * FURTHER)
        first = self.seed + 1
        self._confirmer = Confirmer(trials, range(first, first + request.seeds), request.budget)
        self.findings = Findings(heard=self._hearing.heard, confirmations=self._confirmer.results)

    @property
    def seed(self) -> int:
        """Trial seed of the observation and of the search."""
        return self._request.seed_base

    @property
    def search_budget(self) -> float:
        """Runs that may have been spent when a search ends: the rest is for the confirmation."""
        return max(2.0, self._request.budget - 2.0 * self._request.seeds)

    @property
    def spent(self) -> float:
        """What the trials cost so far, in runs of the untreated script."""
        return self._trials.spent

    @property
    def affordable(self) -> bool:
        """Whether the search may have one more trial."""
        return self._hearing.affordable()

    @property
    def slots(self) -> int:
        """Trials that run at a time."""
        return self._trials.slots

    @property
    def untreated(self) -> Trace:
        """The untreated run of the search seed, which must have run."""
        return self._trials.controls[self.seed].trace

    @property
    def heard(self) -> Sequence[Heard]:
        """What was tried on the search seed, in its order."""
        return self._hearing.heard

    @property
    def worth_confirming(self) -> Sequence[Heard]:
        """What the confirmation is for, the best first."""
        return worth_confirming(self._hearing.heard)

    def observe(self, listener: Listener = lambda event: None) -> None:
        """Run the script untreated, choose the metric and read the symptoms.

        Raises:
            WorkloadError: The script fails by itself or trains nothing.
            UsageError: The metric that was asked for is not reported.
        """
        observe(self._request, self._trials, listener, self.findings)

    def hypotheses(self, base: Heard | None = None) -> list[Hypothesis]:
        """What the evidence calls for, the likeliest first.

        Args:
            base: The treatment to go on from; None: the symptoms of the untreated run, and what
                was asked for besides.
        """
        symptoms, trace, applied = self._state(base)
        offered = [r for r in self._remedies if named(r, self._request.offer)] if not base else []
        return rank(self._remedies, symptoms, trace, offered, applied, self._experience())

    def options(self, base: Heard | None = None) -> list[Hypothesis]:
        """All that could be applied, whatever was found: each remedy at its likeliest target."""
        symptoms, trace, applied = self._state(base)
        return everything(self._remedies, symptoms, trace, applied, self._experience())

    def _state(self, base: Heard | None) -> tuple[Sequence[Symptom], Trace, Treatment]:
        if base is None:
            return self.findings.symptoms, self.untreated, CONTROL
        treated = base.assessment.treated.trace
        return base.assessment.symptoms, treated, base.treatment

    def study(
        self,
        name: str,
        candidates: Sequence[Candidate],
        base: Treatment = CONTROL,
        sampler: Sampler = "weighted",
    ) -> Study:
        """An Optuna study over candidates, applied on top of a treatment."""
        objective, seed = self.findings.objective, self.seed
        assert objective is not None
        session, storage = self._journal()
        control = objective.series(self.untreated)
        return Study(
            f"{session}-{name}", candidates, objective, storage, seed, base, control, sampler
        )

    def hear(
        self, study: Study, trials: int, settled: Settled = lambda treatment: False
    ) -> list[Heard]:
        """Run up to so many trials of a study on the search seed, as long as the budget lasts.

        Args:
            study: Proposes them.
            trials: How many at most.
            settled: Whether a treatment has become pointless by what was heard meanwhile.
        """
        return self._hearing.run(study, trials, settled)

    def try_treatment(self, treatment: Treatment) -> Heard | None:
        """Run a treatment on the search seed; None where the budget does not allow it."""
        return self._hearing.hear(treatment)

    def compare(self, treatment: Treatment, pairs: int) -> list[Assessment]:
        """Run a treatment and the control on further seeds, which no confirmation uses.

        Args:
            treatment: What to run.
            pairs: How many seeds; a control that has run already is not run again.
        """
        first = self.seed + 1 + self._request.seeds + FURTHER
        seeds = range(first, first + pairs)
        jobs = [(given, seed) for seed in seeds for given in (CONTROL, treatment)]
        outcomes = self._trials.run(jobs, "search")
        return [self._trials.assess(outcome) for outcome in outcomes[1::2]]

    def stop(self) -> None:
        """End all trials that run: what asked for them is given up."""
        self._trials.stop()

    def confirm(
        self, treatment: Treatment, tolerated: Collection[str] = (), minimal: bool = False
    ) -> Confirmation:
        """Put a treatment to the confirmation, on seeds that the search did not use.

        The first one that is confirmed is made minimal, and is the fix.

        Args:
            treatment: What to confirm.
            tolerated: Codes of symptoms that are no objection.
            minimal: Whether it is known that nothing can be left out of it.
        """
        found = self._confirmer.confirm(treatment, tolerated)
        if not found.confirmed:
            self._hearing.disprove(treatment)
        if found.confirmed and self.findings.fix is None:
            self.findings.fix = found if minimal else self._confirmer.minimise(found)
        return found

    def confirm_best(self) -> bool:
        """Confirm the best of what is worth it; the next best if that one fails.

        Returns:
            Whether there is reason to search on: nothing is confirmed, and less seems to recover.
        """
        put, budget = False, self._request.budget
        for heard in self.worth_confirming[:_MOST_CONFIRMATIONS]:
            # Once one was put to it, the controls of the next have run.
            late = self._confirmer.results and self.spent + self._request.seeds > budget
            if self.findings.fix is not None or late:
                break
            self.confirm(heard.treatment)
            put = True
        return put and self.findings.fix is None
