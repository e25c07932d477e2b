"""Norms with stale statistics: found where they are, and cured, in two unlike scripts."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from probes import Objective, Trace, probes
from remedies import remedies
from remedies.treatment import Action

RunScript = Callable[..., Trace]

ROOT = Path(__file__).parent
SECOND = ROOT / "sick" / "context_collapse.py"
FIRST = ROOT.parent / "workloads" / "context_collapse" / "sick.py"
SHORT = ("--rounds", "6")
MAE = Objective(name="val_mae", mode="min")
pytestmark = [pytest.mark.slow, pytest.mark.long]


def alarms(trace: Trace, metric: Objective | None) -> dict[str, str | None]:
    found = [s for probe in probes for s in probe.read(trace, metric) if s.alarming]
    return {symptom.code: symptom.source for symptom in reversed(found)}


def treatment(trace: Trace, remedy: str, **params: str) -> tuple[Action, ...]:
    (target,) = remedies[remedy].targets([], trace)
    return (remedies[remedy].default(target).model_copy(update={"params": params}),)


@pytest.fixture(scope="module")
def untreated() -> dict[int, Trace]:
    """The untreated runs of the second script, by seed."""
    return {}


def control(run_script: RunScript, untreated: dict[int, Trace], seed: int) -> Trace:
    if seed not in untreated:
        untreated[seed] = run_script(SECOND, *SHORT, seed=seed)
    return untreated[seed]


def test_a_momentum_of_another_convention_is_found_at_its_line(run_script, untreated) -> None:
    trace = control(run_script, untreated, 0)
    line = 1 + SECOND.read_text().splitlines().index(
        "        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.001),"
    )
    assert Objective.infer(trace) == MAE
    assert alarms(trace, MAE).keys() == {"P101", "P102"}
    assert alarms(trace, MAE)["P102"] == f"context_collapse.py:{line}"


CURES = [
    *(("R101", {"to": "group"}, seed) for seed in (1, 2)),
    *(("R101", {"to": to}, 1) for to in ("layer", "rms", "batch")),
    *(("R102", {"how": how}, seed) for how in ("momentum", "recalibrate") for seed in (1, 2)),
]


@pytest.mark.parametrize(("remedy", "params", "seed"), CURES, ids=str)
def test_the_statistics_are_cured(run_script, untreated, remedy, params, seed) -> None:
    sick = control(run_script, untreated, seed)
    treated = run_script(SECOND, *SHORT, treatment=treatment(sick, remedy, **params), seed=seed)
    assert MAE.final(treated) < 0.25 * MAE.final(sick)
    assert not alarms(treated, MAE)
    assert [event["target"] for event in treated.applied] == ["features.1", "features.4"]


def test_an_average_over_the_whole_run_holds_on_to_its_beginning(run_script, untreated) -> None:
    sick = control(run_script, untreated, 1)
    cumulative = treatment(sick, "R102", how="cumulative")
    treated = run_script(SECOND, *SHORT, treatment=cumulative, seed=1)
    assert 0.05 < MAE.final(treated) < 0.5 * MAE.final(sick)
    assert "P102" in alarms(treated, MAE)


@pytest.mark.parametrize(
    ("remedy", "params"),
    [("R101", {"to": "instance"}), ("R102", {"how": "recalibrate"})],
    ids=["swap-norm", "reestimate-statistics"],
)
def test_the_context_spreads_in_evaluation_as_it_does_in_training(
    run_script, remedy, params
) -> None:
    action = remedies[remedy].default("convs.1,convs.4,convs.7")
    trace = run_script(FIRST, treatment=(action.model_copy(update={"params": params}),))

    def spread(phase: str) -> float:
        series = trace.signal(phase, "ContextEncoder", "output.std")  # type: ignore[arg-type]
        return statistics.median(series.since(trace.steps // 2).values)

    assert spread("eval") == pytest.approx(spread("train"), rel=0.1)
