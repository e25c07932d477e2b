"""What a search over the settings of a known-good configuration found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.delta import Names
from agent.heard import Heard
from agent.workload import Outcome
from agent.yardstick import Yardstick
from remedies import remedies
from remedies.arguments import Difference
from remedies.revert_setting import RevertSetting
from remedies.treatment import Action, Treatment


@dataclass(frozen=True)
class Explanation:
    """What the search over the settings found. All of it is by names of settings.

    Attributes:
        fix: What to revert in the bad configuration so that the metric recovers; empty: unknown.
        cause: What, left bad in the good configuration, makes it fail; empty: unknown.
        cures: What of the cause recovers the metric when it alone is reverted; None: unknown.
    """

    fix: tuple[str, ...] = ()
    cause: tuple[str, ...] = ()
    cures: tuple[str, ...] | None = None


@dataclass
class SettingsFound:
    """What is known of the differences to the good configuration.

    Attributes:
        differences: The settings that differ, those that look guilty first.
        good: The run with all of them reverted.
        yardstick: The way from the bad run to the good one.
        heard: Every set of reverted settings that was tried, on the search seed.
        explanation: What follows from it.
        complaint: Why the good configuration is of no use; empty if it is.
    """

    differences: tuple[Difference, ...]
    good: Outcome | None = None
    yardstick: Yardstick | None = None
    heard: list[Heard] = field(default_factory=list)
    explanation: Explanation = Explanation()
    complaint: str = ""

    def reverting(self, names: Names | Sequence[str]) -> Treatment:
        """The treatment that reverts these settings."""
        remedy = remedies[RevertSetting.code]
        assert isinstance(remedy, RevertSetting)
        return tuple(remedy.reverting(d) for d in self.differences if d.name in names)

    @property
    def tolerated(self) -> tuple[str, ...]:
        """Codes of the alarms that the good configuration raises, too."""
        symptoms = self.heard[0].assessment.symptoms if self.heard else ()
        return tuple(symptom.code for symptom in symptoms if symptom.alarming)

    @property
    def fix(self) -> Treatment:
        """The treatment to confirm; empty where there is none."""
        return self.reverting(self.explanation.fix)


def names_of(treatment: Treatment) -> Names:
    """The settings that a treatment reverts."""
    return frozenset(action.target for action in treatment if _reverts(action))


def _reverts(action: Action) -> bool:
    return action.remedy == RevertSetting.code
