"""What a probe found: one symptom, with its place, its numbers and how bad it is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

ALARM = 0.5
"""Severity from which a symptom makes a run sick; anything milder is an observation."""


class Symptom(BaseModel):
    """One fault that a probe saw in a trace. It is a hypothesis until trials confirm a cause.

    Attributes:
        code: Stable code of the probe, for example ``P101``.
        name: Stable name of the probe, for example ``train-eval-divergence``.
        severity: How far the run is out of the healthy range, from 0 to 1.
        where: Module path, parameter name or loss term.
        source: Line that made the place, as ``file.py:12``, where it is known.
        step: Optimizer step at which the symptom set in.
        evidence: The numbers that the rule looked at.
        message: One sentence for a person, with the numbers that matter.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    name: str
    severity: float = Field(ge=0.0, le=1.0)
    where: str
    source: str | None = None
    step: int = 0
    evidence: dict[str, float] = {}
    message: str

    @property
    def alarming(self) -> bool:
        """Whether the symptom alone makes a run sick."""
        return self.severity >= ALARM
