"""Hears the hypotheses: every one gets a trial against the control of the search seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.assessment import Assessment
from agent.candidate import Candidate
from agent.episode import Episode
from agent.ranking import Hypothesis, rank
from agent.study import Study
from agent.workload import Outcome
from probes.symptom import Symptom
from probes.trace import Event, Trace
from remedies.base import Remedy
from remedies.space import Range, usual
from remedies.treatment import CONTROL, Action, Treatment

_MOST_REMEDIES = 3
"""Remedies in one treatment."""
_ENOUGH = 0.95
"""Share of the way to the best possible metric after which nothing is tuned any more."""
_TUNING_TRIALS = 4
"""Trials spent on the parameters of a remedy that recovers the metric."""
_LIKELY = 0.35
"""Weight of a hypothesis from which its direction is followed."""
_STEPS_FURTHER = 3
"""Trials spent on going on in one direction, as long as that helps."""


@dataclass(frozen=True)
class Heard:
    """One treatment that was tried on the search seed.

    Attributes:
        treatment: What was changed.
        assessment: What came of it.
        pruned: Whether it was stopped early, being worse than the control all along.
    """

    treatment: Treatment
    assessment: Assessment
    pruned: bool = False

    @property
    def recovers(self) -> bool:
        """Whether it is worth confirming."""
        return not self.pruned and self.assessment.recovers


StudyMaker = Callable[[str, Sequence[Candidate], Treatment], Study]


class Search:
    """Runs rounds of trials until something recovers the metric, or nothing is left to try.

    A round hears each hypothesis once with its default, the likeliest first, and those that were
    asked for with every option of their choices. Where none recovers the metric, it goes on in the
    direction of those that help and know one. Then, where there is something left to gain, the
    other options of what recovers are heard; then Optuna tunes its numbers.
    Where a treatment helps but leaves a symptom, or lets one be seen that another had hidden, the
    next round starts from it, so that two faults end with two remedies.

    Args:
        episode: Runs the trials.
        remedies: Those that may be used.
        seed: Trial seed of the search.
        budget: What may have been spent in all when the search ends, in baseline runs.
        make_study: Makes the Optuna study of a round from its name, candidates and base.
    """

    def __init__(
        self,
        episode: Episode,
        remedies: Sequence[Remedy],
        seed: int,
        budget: float,
        make_study: StudyMaker,
    ) -> None:
        self._episode = episode
        self._remedies = remedies
        self._seed = seed
        self._budget = budget
        self._make_study = make_study
        self.heard: list[Heard] = []

    def run(self, symptoms: Sequence[Symptom], offered: Sequence[Remedy] = ()) -> list[Heard]:
        """Search for treatments of the symptoms of the untreated run.

        Args:
            symptoms: What was found in the untreated run.
            offered: Remedies that are heard whatever was found.
        """
        trace = self._episode.controls[self._seed].trace
        self._round(CONTROL, rank(self._remedies, symptoms, trace, offered))
        for _ in range(_MOST_REMEDIES - 1):
            base = self._stepping_stone()
            if base is None:
                break
            left = [symptom for symptom in base.assessment.symptoms if symptom.alarming]
            reached = base.assessment.treated.trace
            self._round(base.treatment, rank(self._remedies, left, reached, applied=base.treatment))
        return self.heard

    def _stepping_stone(self) -> Heard | None:
        """The treatment to go on from; None where one recovers all, or none leads further."""
        if any(heard.recovers for heard in self.heard):
            return None
        partial = [
            heard
            for heard in self.heard
            if heard.assessment.cleared
            and (heard.assessment.remaining or heard.assessment.raised)
            and heard.assessment.gain >= 0
            and not (heard.pruned or heard.assessment.broken or heard.assessment.inert)
        ]
        return max(partial, key=_progress, default=None)

    def _round(self, base: Treatment, hypotheses: Sequence[Hypothesis]) -> None:
        if not hypotheses:
            return
        name = f"round-{len(base) + 1}"
        study = self._study(name, hypotheses, base)
        trials = 0
        for hypothesis in hypotheses:
            trials += study.enqueue(hypothesis.action)
        for hypothesis in hypotheses:
            for variant in _candidate(hypothesis).variants if hypothesis.offered else ():
                trials += study.enqueue(variant)
        found = self._hear(study, trials)
        if not any(heard.recovers for heard in found):
            hypotheses, found = self._go_on(base, hypotheses, found, name)
        recovering = _recovering(hypotheses, found, len(base))
        if recovering and not any(_fully(heard) for heard in found):
            self._tune(base, recovering, name)

    def _go_on(
        self, base: Treatment, hypotheses: Sequence[Hypothesis], found: list[Heard], name: str
    ) -> tuple[list[Hypothesis], list[Heard]]:
        """Go further in a direction that helps, as long as it does, but does not cure yet.

        A treated run that still diverges says nothing against its direction.
        """
        gone_on = list(hypotheses)
        for place, hypothesis in enumerate(hypotheses):
            best = _told_of(found, base, hypothesis.action)
            for number in range(_STEPS_FURTHER):
                action = hypothesis.remedy.further(hypothesis.action)
                likely = hypothesis.weight >= _LIKELY
                if best is None or action is None or not likely or not _helps(best):
                    break
                near = usual(hypothesis.remedy.space_near(action, best.assessment.treated.trace))
                hypothesis = replace(hypothesis, action=action, space=near)
                study = self._study(f"{name}-further-{place}-{number}", [hypothesis], base)
                heard = self._hear(study, int(study.enqueue(action)))
                found = [*found, *heard]
                latest = _told_of(heard, base, action)
                if latest is None or (latest.assessment.reported and not _better(latest, best)):
                    break
                best, gone_on[place] = latest, hypothesis
                if best.recovers:
                    return gone_on, found
        return gone_on, found

    def _tune(self, base: Treatment, recovering: Sequence[Hypothesis], name: str) -> None:
        """Try other parameters of the remedies that recovered the metric."""
        tunable = [hypothesis for hypothesis in recovering if hypothesis.space]
        if not tunable:
            return
        study = self._study(f"{name}-tuning", tunable, base)
        trials = 0
        for hypothesis in tunable:
            # Heard already: told at once, for the sampler to learn from.
            trials += study.enqueue(hypothesis.action)
        for hypothesis in tunable:
            for variant in _candidate(hypothesis).variants:
                trials += study.enqueue(variant)
        if any(isinstance(d, Range) for h in tunable for d in h.space.values()):
            trials += _TUNING_TRIALS
        self._hear(study, trials)

    def _study(self, name: str, hypotheses: Sequence[Hypothesis], base: Treatment) -> Study:
        return self._make_study(name, [_candidate(h) for h in hypotheses], base)

    def _hear(self, study: Study, trials: int) -> list[Heard]:
        """Run up to so many trials of a study, as many at a time as there are slots."""
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
            while trials and len(running) < self._episode.slots:
                trials -= 1
                asked = study.ask() if self._affordable(len(running)) else None
                if asked is None:
                    trials = 0
                    break
                if (known := self._known(asked.treatment)) is not None:
                    study.tell(asked.number, known.assessment.value)
                    continue
                number = self._episode.start(asked.treatment, self._seed, "search")
                running[number] = asked.number
            if running:
                outcome = self._episode.next(watch)
                number = outcome.spec.number
                heard = self._read(study, running.pop(number), outcome, number in pruned)
                found.append(heard)
        self.heard.extend(found)
        return found

    def _known(self, treatment: Treatment) -> Heard | None:
        return next((heard for heard in self.heard if heard.treatment == treatment), None)

    def _metric_value(self, event: Event) -> float | None:
        objective = self._episode.objective
        if event["event"] == "metric" and objective and event["name"] == objective.name:
            return float(event["value"])
        return None

    def _affordable(self, running: int) -> bool:
        return self._episode.spent + running + 1 <= self._budget

    def _read(self, study: Study, asked: int, outcome: Outcome, pruned: bool) -> Heard:
        pruned = pruned and outcome.status == "cancelled"
        assessment = self._episode.assess(outcome)
        heard = Heard(outcome.spec.treatment, assessment, pruned)
        if pruned:
            study.tell_pruned(asked)
            verdict = "pruned"
        elif assessment.broken and not assessment.reported:
            study.tell_failed(asked)
            verdict = "failed"
        else:
            study.tell(asked, assessment.value)
            verdict = "recovers" if heard.recovers else "refuted"
        self._episode.conclude(outcome, verdict)
        return heard


def _told_of(found: Sequence[Heard], base: Treatment, action: Action) -> Heard | None:
    return next((heard for heard in found if heard.treatment == (*base, action)), None)


def _helps(heard: Heard) -> bool:
    """Whether the metric improved, or the run went the way that the untreated one goes."""
    assessment = heard.assessment
    if heard.pruned or assessment.inert or assessment.unchanged:
        return False
    return assessment.gain > 0 if assessment.reported else bool(assessment.remaining)


def _better(heard: Heard, other: Heard) -> bool:
    objective = heard.assessment.objective
    before = other.assessment.value if other.assessment.reported else objective.worst
    return objective.gain(before, heard.assessment.value) > 0


def _fully(heard: Heard) -> bool:
    """Whether a treatment leaves so little to gain that tuning it is not worth a trial."""
    assessment, objective = heard.assessment, heard.assessment.objective
    if not heard.recovers:
        return False
    way = objective.headroom(assessment.control.value(objective), assessment.value)
    return way is not None and way[0] >= _ENOUGH


def _candidate(hypothesis: Hypothesis) -> Candidate:
    return Candidate(hypothesis.action, hypothesis.space, hypothesis.weight)


def _progress(heard: Heard) -> tuple[int, float]:
    return len(heard.assessment.cleared), heard.assessment.gain


def _recovering(
    hypotheses: Sequence[Hypothesis], found: Sequence[Heard], place: int
) -> list[Hypothesis]:
    """The hypotheses whose trial recovered the metric, the best first."""
    gains = {
        (heard.treatment[place].remedy, heard.treatment[place].target): heard.assessment.gain
        for heard in found
        if heard.recovers
    }
    kept = [h for h in hypotheses if (h.action.remedy, h.action.target) in gains]
    return sorted(kept, key=lambda h: -gains[(h.action.remedy, h.action.target)])


def explain(heard: Heard, best: Heard | None, trace: Trace) -> str:
    """Why a treatment is not the fix, in one sentence."""
    assessment, objective = heard.assessment, heard.assessment.objective
    before = assessment.control.value(objective)
    change = f"{objective.name} {before:.4g} -> {assessment.value:.4g}"
    if heard.pruned:
        return f"stopped early: {objective.name} stayed below the untreated run's"
    ending = trace.ending
    if assessment.broken:
        return f"the treated run ended {assessment.treated.status}: {ending and ending.message}"
    if assessment.inert:
        return "it found nothing to change in the program"
    if assessment.unchanged:
        return (
            f"it makes no difference: bit for bit the same training ({objective.name} {before:.4g})"
        )
    if assessment.raised:
        return f"it brings {', '.join(assessment.raised)} ({change})"
    if assessment.gain <= 0 and assessment.cleared:
        cleared = ", ".join(assessment.cleared)
        return f"treats the symptom, not the cause: {cleared} gone, {change}"
    if assessment.gain <= 0:
        return f"no improvement: {change}"
    if assessment.remaining:
        stays = "remains" if len(assessment.remaining) == 1 else "remain"
        return f"{', '.join(assessment.remaining)} {stays} ({change})"
    if best is not None and best is not heard:
        return f"recovers too ({change}), but {best.treatment[-1]} does better; not confirmed"
    return change
