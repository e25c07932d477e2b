"""Confirms a treatment on seeds that the search did not use, and makes it minimal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.assessment import Assessment
from agent.statistics import PairedComparison, compare
from agent.trials import Trials
from agent.workload import Outcome
from remedies import remedies
from remedies.treatment import CONTROL, Action, Treatment, describe

FURTHER = 2
"""Pairs that are added where the first ones are all better, but do not convince."""
_SUPERFLUOUS = 0.9
"""Share of the full treatment's effect from which a part of it is as good as the whole."""


@dataclass(frozen=True)
class Confirmation:
    """A treatment on the confirmation seeds, against the controls of the same seeds.

    Attributes:
        treatment: What was changed.
        assessments: One for each seed.
        comparison: The paired statistics.
        objection: Why it does not count as confirmed; empty if it does.
        undecided: Whether nothing is against it but the noise: more pairs may tell.
    """

    treatment: Treatment
    assessments: tuple[Assessment, ...]
    comparison: PairedComparison
    objection: str
    undecided: bool = False

    @property
    def confirmed(self) -> bool:
        """Whether all of the rules hold."""
        return not self.objection


class Confirmer:
    """Puts treatments to the confirmation.

    Args:
        trials: Runs them.
        seeds: Trial seeds to confirm on.
        budget: What may have been spent in all when targets are left out, in baseline runs.
    """

    def __init__(self, trials: Trials, seeds: Sequence[int], budget: float = float("inf")) -> None:
        self._trials = trials
        self._seeds = tuple(seeds)
        self._budget = budget
        self._outcomes: list[tuple[tuple[Treatment, int], Outcome]] = []
        self._looks = 0
        self.results: list[Confirmation] = []

    def confirm(self, treatment: Treatment, tolerated: Collection[str] = ()) -> Confirmation:
        """Run a treatment and the controls on every seed and hold them against each other.

        Where all pairs are better, but not by enough for so few, two more are run.

        Args:
            treatment: What to confirm.
            tolerated: Codes of symptoms that are no objection.
        """
        result = self._look(treatment, self._seeds, tolerated)
        if result.undecided and self._trials.spent + 2 * FURTHER <= self._budget:
            last = max(self._seeds)
            seeds = (*self._seeds, *range(last + 1, last + 1 + FURTHER))
            result = self._look(treatment, seeds, tolerated)
        self.results.append(result)
        return result

    def _look(
        self, treatment: Treatment, seeds: Sequence[int], tolerated: Collection[str]
    ) -> Confirmation:
        self._looks += 1
        jobs = [(given, seed) for seed in seeds for given in (CONTROL, treatment)]
        outcomes = self._run(jobs)
        objective = self._trials.objective
        assert objective is not None
        comparison = compare(
            objective,
            control={o.spec.seed: o.value(objective) for o in outcomes[0::2]},
            treated={o.spec.seed: o.value(objective) for o in outcomes[1::2]},
            rivals=self._looks,
        )
        assessments = tuple(self._trials.assess(outcome) for outcome in outcomes[1::2])
        objection = _objection(assessments, comparison, tolerated)
        doubt = "" if comparison.convincing else f"not beyond the seed noise: {comparison.sentence}"
        undecided = not objection and bool(doubt) and comparison.every_pair_improves
        return Confirmation(treatment, assessments, comparison, objection or doubt, undecided)

    def _run(self, jobs: Sequence[tuple[Treatment, int]]) -> list[Outcome]:
        """The outcomes of trials in order; what ran here before is not run again."""
        known = {
            place: outcome
            for place, job in enumerate(jobs)
            for done, outcome in self._outcomes
            if done == job
        }
        fresh = [job for place, job in enumerate(jobs) if place not in known]
        ran = self._trials.run(fresh, "confirm")
        self._outcomes.extend(zip(fresh, ran, strict=True))
        found = iter(ran)
        return [known[place] if place in known else next(found) for place in range(len(jobs))]

    def minimise(self, full: Confirmation) -> Confirmation:
        """The smallest part of a confirmed treatment that recovers as much.

        A remedy is left out where the rest, confirmed by itself, has nine tenths of the effect.
        Then, while the budget lasts, single targets of the remedies that can be told apart by them.
        """
        smallest = full
        for action in full.treatment:
            rest = tuple(kept for kept in smallest.treatment if kept is not action)
            if not rest:
                break
            reduced = self.confirm(rest)
            enough = _SUPERFLUOUS * full.comparison.effect
            if reduced.confirmed and reduced.comparison.effect >= enough:
                smallest = reduced
        for action in smallest.treatment:
            if remedies[action.remedy].separable:
                smallest = self._separate(smallest, action, full)
        return smallest

    def _separate(self, smallest: Confirmation, action: Action, full: Confirmation) -> Confirmation:
        """Leave out the targets of an action that are not needed, one after another."""
        for target in action.targets:
            now = next(a for a in smallest.treatment if a.remedy == action.remedy)
            names = [name for name in now.targets if name != target]
            if not names or self._trials.spent + 1 + len(self._seeds) > self._budget:
                break
            fewer = now.model_copy(update={"target": ",".join(names)})
            rest = tuple(fewer if a is now else a for a in smallest.treatment)
            if not self._promises(rest, target, full):
                continue
            reduced = self.confirm(rest)
            enough = _SUPERFLUOUS * full.comparison.effect
            if reduced.confirmed and reduced.comparison.effect >= enough:
                smallest = reduced
        return smallest

    def _promises(self, treatment: Treatment, left_out: str, full: Confirmation) -> bool:
        """Whether it does nearly as well as the whole on the first seed: one run instead of all."""
        seed = self._seeds[0]
        (outcome,) = self._run([(treatment, seed)])
        assessment = self._trials.assess(outcome)
        before, after = full.comparison.control[seed], assessment.value
        enough = _SUPERFLUOUS * full.comparison.gains[seed]
        if assessment.recovers and assessment.gain >= enough:
            return True
        comparison = compare(assessment.objective, {seed: before}, {seed: after})
        objection = (
            f"{left_out} is needed: without it {assessment.objective.name} is {after:.4g} on seed "
            f"{seed}, with it {full.comparison.treated[seed]:.4g}"
        )
        self.results.append(Confirmation(treatment, (assessment,), comparison, objection))
        return False


def _objection(
    assessments: Sequence[Assessment], comparison: PairedComparison, tolerated: Collection[str]
) -> str:
    """What speaks against a treatment whatever it gains, in one sentence.

    A symptom that most seeds do not show, at one that gains more than the noise nevertheless, is
    none of the treatment's: it is told.
    """
    brought = {a.treated.spec.seed for a in assessments if set(a.raised) - set(tolerated)}
    common = 2 * len(brought) >= len(assessments)
    for assessment in assessments:
        seed = assessment.treated.spec.seed
        if assessment.broken:
            return f"on seed {seed} the treated run ended {assessment.treated.status}"
        if assessment.inert or assessment.unchanged:
            return f"on seed {seed} it changed nothing"
        if seed in brought and (common or seed not in comparison.clear):
            return _brings(assessment, tolerated)
        if remaining := [code for code in assessment.remaining if code not in tolerated]:
            return f"on seed {seed} still {', '.join(remaining)}"
    return ""


def _brings(assessment: Assessment, tolerated: Collection[str] = ()) -> str:
    raised = ", ".join(code for code in assessment.raised if code not in tolerated)
    return f"on seed {assessment.treated.spec.seed} it brings {raised}"


def summarise(confirmation: Confirmation) -> str:
    """The confirmation in one sentence."""
    if confirmation.confirmed:
        brought = [_brings(found) for found in confirmation.assessments if found.raised]
        return "; ".join([confirmation.comparison.sentence, *brought])
    return f"{describe(confirmation.treatment)} is not confirmed: {confirmation.objection}"
