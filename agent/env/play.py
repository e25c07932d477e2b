"""An episode as the environment sees it: what is applied now, and what that is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.assessment import Assessment
from agent.env.replay import NotRecordedError
from agent.episode import Episode
from agent.errors import WorkloadError
from agent.heard import Heard
from agent.ranking import Hypothesis
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import remedies
from remedies.space import Choice
from remedies.treatment import CONTROL, Action, Treatment


class Play:
    """The state of one episode of the environment.

    Args:
        episode: The engine; it has been observed.
        budget: What may be spent in all, in runs of the untreated script.
        can_run: Whether a treatment has a trial on the seed of the episode.

    Attributes:
        now: What is applied, and what came of it; None for the untreated run.
        objective: The metric.
        seed: Trial seed that it is played on.

    Raises:
        WorkloadError: The script reports nothing that it could be judged by.
    """

    def __init__(
        self,
        episode: Episode,
        budget: float,
        can_run: Callable[[Treatment], bool],
    ) -> None:
        if episode.findings.objective is None:
            raise WorkloadError("the script reports no metric, and trains on no loss that is seen")
        self._episode = episode
        self._budget = budget
        self._options: tuple[Heard | None, dict[str, Hypothesis]] | None = None
        self._can_run = can_run
        self.objective: Objective = episode.findings.objective
        self.seed = episode.seed
        self.now: Heard | None = None

    @property
    def applied(self) -> Treatment:
        """The treatment of the run that is looked at."""
        return self.now.treatment if self.now else CONTROL

    @property
    def symptoms(self) -> tuple[Symptom, ...]:
        """What the probes find in that run."""
        return self.now.assessment.symptoms if self.now else self._episode.findings.symptoms

    @property
    def trace(self) -> Trace:
        """That run."""
        return self.now.assessment.treated.trace if self.now else self._episode.untreated

    @property
    def untreated(self) -> Trace:
        """The run without any treatment."""
        return self._episode.untreated

    @property
    def healthy(self) -> bool:
        """Whether the run shows no alarming symptom, and is the better for what is applied."""
        well = not any(symptom.alarming for symptom in self.symptoms)
        return well and (self.now is None or self.now.recovers)

    @property
    def recovered(self) -> float:
        """Share of the way from the untreated metric to the best one, from -1 to 1."""
        return share_recovered(self.now.assessment) if self.now else 0.0

    @property
    def spent(self) -> float:
        """Runs of the untreated script that the episode has cost."""
        return self._episode.spent

    @property
    def budget_left(self) -> float:
        """Share of the budget that is left, from 0 to 1."""
        return min(1.0, max(0.0, 1.0 - self.spent / self._budget))

    @property
    def affordable(self) -> bool:
        """Whether one more trial fits into the budget, with a confirmation after it."""
        return self._episode.affordable

    @property
    def fix(self) -> Treatment | None:
        """What was confirmed."""
        fix = self._episode.findings.fix
        return fix.treatment if fix else None

    def added(self, code: str) -> Treatment | None:
        """What is applied and a remedy besides, at its likeliest target; None if it cannot be."""
        option = self._offered().get(code)
        return self._possible((*self.applied, option.action) if option else None)

    def _offered(self) -> dict[str, Hypothesis]:
        """What could be applied to the run that is looked at, by the code of the remedy."""
        if self._options is None or self._options[0] is not self.now:
            found: dict[str, Hypothesis] = {}
            for option in self._episode.options(self.now):
                found.setdefault(option.remedy.code, option)
            self._options = self.now, found
        return self._options[1]

    def varied(self, held: Action) -> Treatment | None:
        """What is applied with the next parameters of one of its actions; None if it has none."""
        other = _next_parameters(held, self.trace)
        treatment = tuple(other if action is held else action for action in self.applied if other)
        return self._possible(treatment or None)

    def without(self, held: Action) -> Treatment | None:
        """What is applied but for one of its actions."""
        return self._possible(tuple(action for action in self.applied if action is not held))

    def _possible(self, treatment: Treatment | None) -> Treatment | None:
        if treatment is None or (treatment and not self._can_run(treatment)):
            return None
        return treatment

    def go_to(self, treatment: Treatment) -> None:
        """Run a treatment on the seed of the episode, and look at that run from now on."""
        self.now = self._episode.try_treatment(treatment) if treatment else None

    def confirm(self) -> bool:
        """Put what is applied to the confirmation, if it is worth it."""
        if self.now is None or self.now.assessment.gain <= 0:
            return False
        try:
            return self._episode.confirm(self.now.treatment, minimal=True).confirmed
        except NotRecordedError:
            return False

    def told(self) -> dict[str, Any]:
        """The state as plain data, for the ``info`` of the environment."""
        objective = self.objective
        return {
            "symptoms": [symptom.model_dump() for symptom in self.symptoms],
            "treatment": [action.model_dump() for action in self.applied],
            "metric": objective.final(self.trace),
            "control": objective.final(self.untreated),
            "spent": self.spent,
            "fix": [action.model_dump() for action in self.fix] if self.fix else None,
        }


def share_recovered(assessment: Assessment) -> float:
    """Share of the way to the best possible metric that a treated run has gone, from -1 to 1.

    Where no best value is known, the gain over the size of both values. A run that broke has -1;
    one that reports a value where the control has none has 1.
    """
    objective = assessment.objective
    if not assessment.reported:
        return -1.0
    if not assessment.comparable:
        return 1.0
    before, after = assessment.control.value(objective), assessment.value
    way = objective.headroom(before, after)
    share = way[0] if way else assessment.gain / max(abs(before) + abs(after), 1e-12)
    return min(1.0, max(-1.0, share))


def _next_parameters(held: Action, trace: Trace) -> Action | None:
    """One step further in the direction of an action, or the next option of its first choice."""
    remedy = remedies[held.remedy]
    if (further := remedy.further(held)) is not None:
        return further
    for name, dimension in remedy.space_near(held, trace).items():
        if isinstance(dimension, Choice) and len(dimension.options) > 1:
            options = dimension.options
            place = options.index(held.params[name]) if held.params[name] in options else -1
            changed = {**held.params, name: options[(place + 1) % len(options)]}
            return held.model_copy(update={"params": changed})
    return None
