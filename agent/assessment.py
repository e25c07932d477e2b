"""What one treated run says, held against the untreated run of the same seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.workload import Outcome
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

DIVERGED_STATUSES = ("raised", "exited", "killed", "timeout", "out-of-memory")
"""Endings of a treated run that mean that the treatment broke it."""


@dataclass(frozen=True)
class Assessment:
    """A treated run against its control.

    Attributes:
        treated: The treated run.
        control: The untreated run of the same seed.
        objective: The metric.
        symptoms: What the probes find in the treated run.
        cleared: Alarming codes of the control that the treated run does not have.
        raised: Alarming codes that only the treated run has.
        remaining: Alarming codes that both have.
        same: Whether both trained on bit-identical losses, and report the same.
    """

    treated: Outcome
    control: Outcome
    objective: Objective
    symptoms: tuple[Symptom, ...]
    cleared: tuple[str, ...]
    raised: tuple[str, ...]
    remaining: tuple[str, ...]
    same: bool = False

    @property
    def value(self) -> float:
        """Final metric of the treated run."""
        return self.treated.value(self.objective)

    @property
    def reported(self) -> bool:
        """Whether the treated run came to an end with a finite metric."""
        return self.value != self.objective.worst

    @property
    def gain(self) -> float:
        """Improvement over the control, in units of the metric; the worst for a broken run."""
        before = self.control.value(self.objective)
        if not self.reported:
            return -abs(self.objective.worst)
        # A control without a finite metric has diverged: any finite value is a recovery.
        return self.objective.gain(before, self.value)

    @property
    def comparable(self) -> bool:
        """Whether the gain says how much better it is: not where the control has no value."""
        return self.control.value(self.objective) != self.objective.worst

    @property
    def broken(self) -> bool:
        """Whether the treated run did not end as planned."""
        return self.treated.status in DIVERGED_STATUSES

    @property
    def inert(self) -> bool:
        """Whether a remedy of the treatment found nothing to change in the program."""
        if self.broken:
            return False
        treatment = self.treated.spec.treatment
        return any(action.remedy not in self.treated.applied for action in treatment)

    @property
    def unchanged(self) -> bool:
        """Whether what was changed made no difference: bit for bit the same training."""
        return not self.broken and self.same

    @property
    def clears(self) -> bool:
        """Whether it is better, and the symptoms are gone."""
        return (
            self.gain > 0
            and not self.broken
            and not self.inert
            and not self.unchanged
            and not self.remaining
        )

    @property
    def recovers(self) -> bool:
        """Whether it is worth confirming: better, the symptoms gone, no new ones."""
        return self.clears and not self.raised


def read_symptoms(
    trace: Trace, probes: Iterable[Probe], objective: Objective | None
) -> tuple[Symptom, ...]:
    """What all probes find in a trace, the most severe first.

    Of two that are as severe as printed, the earlier one: a cause comes before what follows of it.
    """
    found = [symptom for probe in probes for symptom in probe.read(trace, objective)]
    return tuple(sorted(found, key=lambda s: (-round(s.severity, 2), s.step, s.code)))


def assess(
    treated: Outcome,
    control: Outcome,
    symptoms: tuple[Symptom, ...],
    symptoms_before: tuple[Symptom, ...],
    objective: Objective,
) -> Assessment:
    """Hold a treated run against its control.

    Args:
        treated: The treated run.
        control: The untreated run of the same seed.
        symptoms: What the probes find in the treated run.
        symptoms_before: What they find in the control.
        objective: The metric.
    """
    before, after = _alarming_codes(symptoms_before), _alarming_codes(symptoms)
    return Assessment(
        treated=treated,
        control=control,
        objective=objective,
        symptoms=symptoms,
        cleared=tuple(code for code in before if code not in after),
        raised=tuple(code for code in after if code not in before),
        remaining=tuple(code for code in before if code in after),
        same=same_training(treated.trace, control.trace),
    )


def same_training(one: Trace, other: Trace) -> bool:
    """Whether two runs of the same seed trained on bit-identical losses to the end."""
    first = one.signal("train", "loss", "loss.value").values
    second = other.signal("train", "loss", "loss.value").values
    return bool(first) and first == second and _metric_values(one) == _metric_values(other)


def _alarming_codes(symptoms: Iterable[Symptom]) -> list[str]:
    return sorted({symptom.code for symptom in symptoms if symptom.alarming})


def _metric_values(trace: Trace) -> list[list[float]]:
    return [trace.metrics[name].values for name in sorted(trace.metrics)]
