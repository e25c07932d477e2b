"""Which of several treatments that recovered the metric is the one to confirm."""

from __future__ import annotations

from dataclasses import replace

from agent.assessment import Assessment
from agent.heard import Heard, by_gain, worth_confirming
from agent.workload import Outcome, TrialSpec
from probes import Objective
from probes.facts import Ending
from probes.trace import Trace
from remedies import remedies


def run(steps: int = 100, **ending: object) -> Outcome:
    trace = Trace()
    trace.ending = Ending(steps=steps, **ending)  # type: ignore[arg-type]
    trace.steps = steps
    return Outcome(TrialSpec(0), trace)


def heard(remedy: str, value: float, control: float = 0.2, raised: tuple[str, ...] = ()) -> Heard:
    """A treatment of stale norms that recovers the metric."""
    treatment = (remedies[remedy].default("norm"),)

    def outcome(final: float, treatment: object = ()) -> Outcome:
        found = run(status="completed")
        found.trace.feed({"event": "metric", "name": "val_acc", "step": 100, "value": final})
        for action in treatment:  # type: ignore[attr-defined]
            applied = {"event": "applied", "remedy": action.remedy, "target": "norm"}
            found.trace.feed({**applied, "detail": "", "step": 0})
        return Outcome(TrialSpec(0, treatment), found.trace)  # type: ignore[arg-type]

    metric = Objective(name="val_acc", mode="max")
    cleared = ("P102",)
    treated = outcome(value, treatment)
    return Heard(treatment, Assessment(treated, outcome(control), metric, (), cleared, raised, ()))


def names(ranked: list[Heard]) -> list[str]:
    return [one.treatment[0].name for one in ranked]


def test_the_better_treatment_comes_first() -> None:
    found = [heard("swap-norm", 0.7), heard("reestimate-statistics", 0.9)]
    assert names(by_gain(found)) == ["reestimate-statistics", "swap-norm"]
    assert by_gain([]) == []


def test_of_two_that_tie_the_likelier_comes_first() -> None:
    found = [heard("reestimate-statistics", 1.0), heard("swap-norm", 0.998)]
    assert names(by_gain(found)) == ["swap-norm", "reestimate-statistics"]


def test_nothing_ties_where_the_control_has_no_value() -> None:
    found = [
        heard("reestimate-statistics", 1.0, control=float("nan")),
        heard("swap-norm", 0.3, control=float("nan")),
    ]
    assert names(by_gain(found)) == ["reestimate-statistics", "swap-norm"]


def test_what_does_clearly_better_but_for_a_new_symptom_is_confirmed_first() -> None:
    better = heard("swap-norm", 0.9, raised=("P303",))
    found = [heard("reestimate-statistics", 0.6), better, heard("enlarge-batch", 0.3)]
    assert names(by_gain(found)) == ["reestimate-statistics", "enlarge-batch"]
    ranked = ["swap-norm", "reestimate-statistics", "enlarge-batch"]
    assert names(worth_confirming(found)) == ranked
    assert names(worth_confirming([better])) == ["swap-norm"]
    assert not worth_confirming([replace(better, disproved=True), replace(better, pruned=True)])


def test_a_new_symptom_counts_where_as_much_is_to_be_had_without_it() -> None:
    found = [heard("reestimate-statistics", 0.9), heard("swap-norm", 0.91, raised=("P303",))]
    assert names(worth_confirming(found)) == ["reestimate-statistics"]
    assert not worth_confirming([heard("swap-norm", 0.1, raised=("P303",))])
