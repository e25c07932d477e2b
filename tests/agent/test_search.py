"""The search goes on in a direction that helps."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from agent.candidate import Candidate
from agent.search import Search
from agent.workload import Outcome
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies
from remedies.treatment import Treatment

ACCURACY = Objective(name="val_acc", mode="max")


class Queue:
    """A study that hands out what was put into it, and proposes nothing."""

    def __init__(self, candidates: Sequence[Candidate], base: Treatment) -> None:
        self.candidates, self.base = candidates, base
        self.waiting: list[Action] = []

    def enqueue(self, action: Action) -> bool:
        assert any(candidate.allows(action) for candidate in self.candidates)
        self.waiting.append(action)
        return True

    def ask(self) -> Any:
        if not self.waiting:
            return None
        return SimpleNamespace(number=0, treatment=(*self.base, self.waiting.pop(0)))

    def tell(self, number: int, value: float) -> None: ...

    def tell_failed(self, number: int) -> None: ...


class Runs:
    """An episode whose runs score by the factor on the learning rate."""

    slots, spent, objective = 1, 0.0, ACCURACY

    def __init__(self, score: dict[float, float | None]) -> None:
        self.score = score
        self.factors: list[float] = []
        self.controls = {0: SimpleNamespace(trace=Trace())}

    def start(self, treatment: Treatment, seed: int, purpose: str) -> int:
        self.factors.append(float(treatment[-1].params["factor"]))
        self.treatment = treatment
        return 0

    def next(self, watch: Any) -> Any:
        spec = SimpleNamespace(treatment=self.treatment, number=0)
        return SimpleNamespace(spec=spec, status="completed")

    def assess(self, outcome: Outcome) -> Any:
        value = self.score.get(self.factors[-1], 0.2)
        return SimpleNamespace(
            value=value,
            reported=value is not None,
            gain=-1e12 if value is None else value - 0.2,
            recovers=value is not None and value > 0.9,
            remaining=("P303",) if value is None or value <= 0.9 else (),
            raised=(), cleared=(), symptoms=(), inert=False, unchanged=False, broken=False,
            objective=ACCURACY,
            treated=SimpleNamespace(trace=Trace()),
            control=SimpleNamespace(value=lambda objective: 0.2),
        )  # fmt: skip

    def conclude(self, outcome: Outcome, verdict: str) -> None: ...


@pytest.mark.parametrize(
    ("score", "tried"),
    [
        ({0.1: 0.97}, [0.1]),
        ({0.1: 0.4, 0.01: 0.97}, [0.1, 0.01]),
        ({0.1: 0.4, 0.01: 0.5, 0.001: 0.3}, [0.1, 0.01, 0.001]),
        ({0.1: None, 0.01: 0.97}, [0.1, 0.01]),
        ({0.1: 0.1}, [0.1]),
    ],
    ids=["at once", "one further", "until it gets worse", "still diverges", "no help"],
)
def test_a_tenth_and_then_a_hundredth_of_the_rate(score, tried) -> None:
    runs = Runs(score)
    symptom = Symptom(code="P303", name="unstable-loss", severity=1, where="SGD", message="")
    search = Search(
        runs,  # type: ignore[arg-type]
        [remedies["R301"]],
        seed=0,
        budget=9,
        make_study=lambda name, candidates, base: Queue(candidates, base),  # type: ignore[arg-type, return-value]
    )
    search.run([symptom])
    assert runs.factors == pytest.approx(tried)
    assert len(search.heard) == len(tried)
