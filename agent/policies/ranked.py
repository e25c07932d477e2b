"""The evidence decides: what the symptoms call for is heard first, and followed where it helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.heard import Heard
from agent.policies.base import Policy
from agent.ranking import Hypothesis
from remedies import remedies
from remedies.space import Range, usual
from remedies.treatment import CONTROL, Action, Treatment

if TYPE_CHECKING:
    from agent.episode import Episode
    from agent.study import Study

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


class Ranked(Policy):
    """Hears the likeliest hypotheses first, by the symptoms and by experience.

    A round hears each hypothesis once with its default, and those that were
    asked for with every option of their choices. Once something cures all, only its rivals are
    heard: what treats the same symptom. Where none recovers the metric, it goes on in the
    direction of those that help and know one. Then, where there is something left to gain, the
    other options of what recovers are heard; then Optuna tunes its numbers.
    Where a treatment helps but leaves a symptom, or lets one be seen that another had hidden, the
    next round starts from it, so that two faults end with two remedies.
    """

    name = "ranked"

    def play(self, episode: Episode) -> None:
        """Run rounds until something recovers the metric, or nothing is left to try."""
        _Search(episode).run()


class _Search:
    """The rounds over one episode."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode

    def run(self) -> None:
        self._round(None, self._episode.hypotheses())
        for _ in range(_MOST_REMEDIES - 1):
            base = self._stepping_stone()
            if base is None:
                break
            self._round(base, self._episode.hypotheses(base))

    def _stepping_stone(self) -> Heard | None:
        """The treatment to go on from; None where one recovers all, or none leads further."""
        if any(heard.recovers for heard in self._episode.heard):
            return None
        partial = [
            heard
            for heard in self._episode.heard
            if heard.assessment.cleared
            and (heard.assessment.remaining or heard.assessment.raised)
            and heard.assessment.gain >= 0
            and not (heard.pruned or heard.assessment.broken or heard.assessment.inert)
        ]
        return max(partial, key=_progress, default=None)

    def _round(self, stone: Heard | None, hypotheses: Sequence[Hypothesis]) -> None:
        if not hypotheses:
            return
        base = stone.treatment if stone else CONTROL
        name = f"round-{len(base) + 1}"
        study = self._study(name, hypotheses, base)
        trials = 0
        for hypothesis in hypotheses:
            trials += study.enqueue(hypothesis.action)
        for hypothesis in hypotheses:
            for variant in hypothesis.candidate.variants if hypothesis.offered else ():
                trials += study.enqueue(variant)
        asked_for = [h.action for h in hypotheses if h.offered]

        def settled(treatment: Treatment) -> bool:
            return treatment[-1] not in asked_for and self._settled(treatment[-1])

        found = self._episode.hear(study, trials, settled)
        if not any(heard.recovers for heard in found):
            hypotheses, found = self._go_on(base, hypotheses, found, name)
        recovering = _recovering(hypotheses, found, len(base))
        if recovering and not any(_fully(heard) for heard in found):
            self._tune(base, recovering, name)

    def _settled(self, action: Action) -> bool:
        """Whether another remedy has cured all, and more than the symptom of this one.

        Then that symptom was a consequence. What treats the same symptom as the cure is a rival
        explanation, and still gets its trial: a diagnosis says what it was not.
        """
        return any(
            _fully(heard) and not _causes(heard) & set(remedies[action.remedy].treats)
            for heard in self._episode.heard
        )

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
                heard = self._episode.hear(study, int(study.enqueue(action)))
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
            for variant in hypothesis.candidate.variants:
                trials += study.enqueue(variant)
        if any(isinstance(d, Range) for h in tunable for d in h.space.values()):
            trials += _TUNING_TRIALS
        self._episode.hear(study, trials)

    def _study(self, name: str, hypotheses: Sequence[Hypothesis], base: Treatment) -> Study:
        return self._episode.study(name, [h.candidate for h in hypotheses], base)


def _causes(heard: Heard) -> set[str]:
    """The symptoms that the last remedy of a treatment is for, among those that it cleared."""
    return set(heard.assessment.cleared) & set(remedies[heard.treatment[-1].remedy].treats)


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
