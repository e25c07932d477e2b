"""A confirmed treatment is made as small as it can be."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from agent.assessment import Assessment, assess
from agent.confirm import Confirmer, summarise
from agent.workload import Outcome, TrialSpec
from probes import Objective, Symptom, Trace
from remedies import remedies
from remedies.treatment import CONTROL, Treatment

FOUND = Objective(name="val_acc", mode="max")


class FakeEpisode:
    """Trials that recover when the modules that matter are staged."""

    objective = FOUND

    def __init__(
        self,
        needed: set[str],
        untreated: dict[int, float] | None = None,
        brought: Iterable[int] = (),
    ) -> None:
        self.needed = needed
        self.untreated = untreated or {}
        self.brought = set(brought)
        self.controls: dict[int, Outcome] = {}
        self.runs: list[Treatment] = []

    @property
    def spent(self) -> float:
        return len(self.runs)

    def run(self, jobs: Iterable[tuple[Treatment, int]], part: str) -> list[Outcome]:
        return [self._outcome(treatment, seed) for treatment, seed in jobs]

    def assess(self, outcome: Outcome) -> Assessment:
        seed = outcome.spec.seed
        saturated = Symptom(code="P702", name="x", severity=0.9, where="net", message="")
        symptoms = (saturated,) if seed in self.brought else ()
        return assess(outcome, self.controls[seed], symptoms, (), FOUND)

    def _outcome(self, treatment: Treatment, seed: int) -> Outcome:
        if treatment == CONTROL and seed in self.controls:
            return self.controls[seed]
        staged = {name for action in treatment for name in action.targets}
        value = 0.9 if staged and self.needed <= staged else self.untreated.get(seed, 0.1)
        trace = Trace.of(
            [
                *({"event": "applied", "remedy": a.remedy, "target": a.target} for a in treatment),
                {"event": "metric", "name": "val_acc", "step": 1, "value": value + seed / 1000},
                {"event": "ending", "status": "completed", "steps": 9},
            ]
        )
        outcome = Outcome(TrialSpec(len(self.runs), treatment, seed), trace)
        self.runs.append(treatment)
        if treatment == CONTROL:
            self.controls[seed] = outcome
        return outcome


def minimised(remedy: str, needed: set[str], budget: float = 100.0) -> tuple[str, FakeEpisode]:
    episode = FakeEpisode(needed)
    confirmer = Confirmer(episode, (1, 2, 3), budget)  # type: ignore[arg-type]
    full = confirmer.confirm((remedies[remedy].default("a,b,c"),))
    assert full.confirmed
    smallest = confirmer.minimise(full)
    assert smallest.confirmed
    needless = [r.objection for r in confirmer.results if "is needed" in r.objection]
    assert all("val_acc is 0.101 on seed 1, with it 0.901" in text for text in needless)
    return smallest.treatment[0].target, episode


@pytest.mark.parametrize(
    "needed", [{"a"}, {"b"}, {"a", "c"}, {"a", "b", "c"}], ids=lambda names: "".join(sorted(names))
)
def test_targets_that_are_not_needed_are_left_out(needed) -> None:
    target, episode = minimised("stage-modules", needed)
    assert set(target.split(",")) == needed
    assert len(episode.runs) <= 6 + 3 * (3 - len(needed)) + len(needed)


def test_other_remedies_keep_their_targets() -> None:
    target, episode = minimised("swap-norm", {"a"})
    assert target == "a,b,c"
    assert len(episode.runs) == 6


def test_nothing_is_left_out_beyond_the_budget() -> None:
    target, episode = minimised("stage-modules", {"a"}, budget=8.0)
    assert target == "a,b,c"
    assert len(episode.runs) == 6


@pytest.mark.parametrize(
    ("brought", "untreated", "confirmed"),
    [({3}, {}, True), ({2, 3}, {}, False), ({3}, {3: 0.85}, False)],
    ids=["at one of three seeds", "at two", "where next to nothing is gained"],
)
def test_a_new_symptom_is_an_objection_where_it_is_common_or_harms(
    brought: set[int], untreated: dict[int, float], confirmed: bool
) -> None:
    episode = FakeEpisode({"a"}, untreated, brought)
    confirmer = Confirmer(episode, (1, 2, 3))  # type: ignore[arg-type]
    result = confirmer.confirm((remedies["swap-norm"].default("a"),))
    assert result.confirmed is confirmed
    assert ("on seed 3 it brings P702" in summarise(result)) is (brought == {3})


@pytest.mark.parametrize(
    ("last", "budget", "confirmed", "runs"),
    [(0.5, 100.0, True, 10), (0.95, 100.0, False, 10), (0.5, 9.0, False, 6)],
    ids=["it is better again", "once it is not", "too dear"],
)
def test_two_pairs_more_decide_where_three_are_better_but_not_by_enough(
    last: float, budget: float, confirmed: bool, runs: int
) -> None:
    untreated = {1: 0.75, 2: 0.65, 3: 0.46, 4: 0.6, 5: last}
    episode = FakeEpisode({"a"}, untreated)
    confirmer = Confirmer(episode, (1, 2, 3), budget)  # type: ignore[arg-type]
    result = confirmer.confirm((remedies["swap-norm"].default("a"),))
    assert result.confirmed is confirmed
    assert len(episode.runs) == runs
    assert confirmer.results == [result]
