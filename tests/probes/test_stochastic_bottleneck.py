from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes import Objective, Trace, probes
from probes.symptom import Symptom

MATCH = Objective(name="val_exact_match", mode="max")
LOSS = Objective(name="val_loss", mode="min")
SCRIPT = Path(__file__).parents[1] / "sick" / "stochastic_bottleneck.py"


@pytest.fixture
def make(make_trace: Callable[..., Trace]) -> Callable[..., Trace]:
    """A run with noise at the encoder, by default so strong that nothing is learned."""

    def make(metric: str = "val_exact_match", **given: Any) -> Trace:
        curves = {
            "ratio": [4.0] * 20,
            "capacity": [1.5] * 20,
            "needed": [6.0] * 20,
            "best": [0.2] * 20,
            "active": [0.0] * 20,
            "dimensions": [32.0] * 20,
            "task": [2.1] * 20,
            "kl": [0.3] * 20,
            "curve": [0.02, 0.03] * 10,
        } | {
            key: [value] * 20 if isinstance(value, float) else value for key, value in given.items()
        }
        noise = ("ratio", "capacity", "needed", "best", "active", "dimensions")
        signals = {("train", "encoder", f"noise.{name}"): curves[name] for name in noise}
        signals["train", "kl", "noise.rate"] = [1.0] * 20
        signals["train", "kl", "term.contribution"] = curves["kl"]
        signals["train", "task", "term.contribution"] = curves["task"]
        trace = make_trace(signals, {metric: curves["curve"]})
        trace.feed({"event": "noise", "where": "encoder", "source": "train.py:9", "operand": 0})
        return trace

    return make


def read(trace: Trace, metric: Objective = MATCH) -> list[Symptom]:
    return [s for code in ("P401", "P402") for s in probes[code].read(trace, metric)]


def test_noise_that_lets_nothing_through_is_an_alarm(make: Callable[..., Trace]) -> None:
    (found,) = read(make())
    assert (found.code, found.where, found.source) == ("P401", "encoder", "train.py:9")
    assert found.severity == pytest.approx(0.5 + 0.5 * 0.75)
    assert found.evidence["capacity_bits"] == 1.5
    assert "4 times the spread" in found.message and "0.02 to 0.025" in found.message


def test_what_evaluation_does_is_told(make: Callable[..., Trace]) -> None:
    trace = make()
    assert "evaluation" not in read(trace)[0].message
    row = {"event": "signals", "step": 50, "phase": "eval"}
    trace.feed(row | {"rows": [["encoder", "output.std", 1.0]]})
    assert "evaluation does without the noise" in read(trace)[0].message
    trace.feed(row | {"rows": [["encoder", "noise.ratio", 4.0]]})
    assert "evaluation adds the noise, too" in read(trace)[0].message


@pytest.mark.parametrize(
    "healthy",
    [
        {"best": 500.0, "capacity": 15.0},  # a variational autoencoder with unused dimensions
        {"ratio": 0.3, "best": 20.0, "capacity": 90.0},  # noise as a regulariser
        {"capacity": [1.5] * 10 + [20.0] * 10, "best": [0.2] * 10 + [30.0] * 10},  # at first only
    ],
    ids=["clear dimensions", "weak noise", "only early"],
)
def test_a_code_that_carries_enough_is_no_symptom(make: Callable[..., Trace], healthy: Any) -> None:
    assert read(make(**healthy)) == []


@pytest.mark.parametrize(
    "given",
    [
        {"curve": [0.05 * step for step in range(20)]},  # it learns
        {"curve": [0.7, 0.75] * 10},  # not far from the best
        {"task": [2.1] * 3 + [0.4] * 17},  # learned before the first report
    ],
    ids=["moving", "near", "learned"],
)
def test_without_harm_it_is_an_observation(make: Callable[..., Trace], given: Any) -> None:
    assert [found.severity for found in read(make(**given))] == [0.3]


def test_a_silent_code_next_to_a_vanished_kl_term_is_a_collapse(make: Callable[..., Trace]) -> None:
    (found,) = read(make(best=0.002, capacity=0.02, kl=0.004))
    assert (found.code, found.severity, found.where) == ("P402", 1.0, "encoder")
    assert "kl is 0.19% of the loss" in found.message
    (found,) = read(make(best=0.002, capacity=0.02, kl=0.9))
    assert found.code == "P401", "the KL term has something left to penalise"


def test_a_flat_loss_alone_is_no_harm(make: Callable[..., Trace]) -> None:
    collapsed = {"best": 0.002, "capacity": 0.02, "kl": 0.004, "curve": [0.25, 0.24] * 10}
    (found,) = read(make("val_loss", **collapsed), LOSS)
    assert found.severity == 1.0
    (found,) = read(make("val_loss", task=[2.1] * 3 + [0.3] * 17, **collapsed), LOSS)
    assert found.severity == 0.3


@pytest.mark.parametrize(
    ("signal", "value", "severity"),
    [
        ("target.unexplained", 0.99, 1.0),
        ("target.unexplained", 0.3, 0.3),
        ("prediction.within", 0.01, 1.0),
        ("prediction.within", 0.7, 0.3),
    ],
)
def test_a_collapse_in_which_nothing_but_the_mean_is_explained_is_harm(
    make: Callable[..., Trace], signal: str, value: float, severity: float
) -> None:
    learned = {"task": [2.1] * 3 + [0.3] * 17, "curve": [0.25, 0.24] * 10}
    trace = make("val_loss", best=0.002, capacity=0.02, kl=0.004, **learned)
    for step in range(0, 101, 5):
        row = ["train.py:30", signal, value]
        trace.feed({"event": "signals", "step": step, "phase": "train", "rows": [row]})
    (found,) = read(trace, LOSS)
    assert (found.code, found.severity) == ("P402", severity)


@pytest.mark.slow
@pytest.mark.parametrize("beta, code", [("0.1", "P402"), ("0.07", "P401")])
def test_it_is_found_in_a_script(run_script: Callable[..., Trace], beta: str, code: str) -> None:
    trace = run_script(SCRIPT, "--beta", beta, "--rounds", "5")
    objective = Objective.infer(trace)
    assert objective is not None and objective.name == "val_error"
    alarms = [s for probe in probes for s in probe.read(trace, objective) if s.alarming]
    (found,) = [s for s in alarms if s.code != "P352"]  # That nothing is learned is true, too.
    assert (found.code, found.where) == (code, "Forecaster")
    line = SCRIPT.read_text().splitlines()[int((found.source or "").split(":")[1]) - 1]
    assert "add_(centre)" in line
    assert "evaluation adds the noise, too" in found.message
