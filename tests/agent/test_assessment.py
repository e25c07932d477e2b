from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.assessment import read_symptoms
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace


@dataclass
class Seen(Probe):
    """Finds what it was made with."""

    found: tuple[str, float, int]

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        code, severity, step = self.found
        yield Symptom(code=code, name="seen", severity=severity, where="", step=step, message="")


def test_the_most_severe_comes_first_and_of_equals_the_earlier() -> None:
    found = [("P801", 0.7, 0), ("P701", 1.0, 184), ("P802", 0.998, 1), ("P803", 1.0, 184)]
    read = read_symptoms(Trace.of([]), [Seen(one) for one in found], None)
    assert [symptom.code for symptom in read] == ["P802", "P701", "P803", "P801"]
