from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from probes import Objective, Trace
from probes.checkpointed_gradients import CheckpointedGradients
from remedies import remedies

SICK = Path(__file__).parents[1] / "sick" / "checkpointed_gradients.py"
CALL = "net.blocks@model.py:30"


def at(place: str, difference: float, noise: float = 0.0, lost: float = 0.0) -> dict:
    values = {"difference": difference, "noise": noise, "lost": lost, "reentrant": 1.0}
    return {("train", place, f"checkpoint.{name}"): [v] * 3 for name, v in values.items()}


def read(trace: Trace) -> list:
    return list(CheckpointedGradients().read(trace))


def test_a_lost_parameter_is_named_with_the_line_of_the_call(make_trace) -> None:
    signals = at(CALL, difference=0.2, lost=2)
    for name, share in (("net.bias", 0.1), ("net.weight", 0.17)):
        signals["train", f"{CALL}|{name}", "checkpoint.lost_share"] = [share] * 3
    signals["train", "net.bias", "grad.norm"] = [0.5] * 9
    (symptom,) = read(make_trace(signals))
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("net.blocks", "model.py:30")
    assert "net.weight, net.bias" in symptom.message
    assert symptom.evidence["without_any_gradient"] == 1


@pytest.mark.parametrize(
    "difference, noise, severity",
    [(0.0, 0.0, None), (1e-6, 0.0, None), (0.3, 0.05, None), (0.05, 0.001, 0.3), (0.4, 0.01, 0.7)],
)
def test_a_difference_counts_beyond_noise(make_trace, difference, noise, severity) -> None:
    found = read(make_trace(at(CALL, difference, noise)))
    assert [symptom.severity for symptom in found] == ([] if severity is None else [severity])


def test_what_holds_in_one_step_only_is_no_symptom(make_trace) -> None:
    signals = at(CALL, difference=1.0, lost=3)
    signals["train", CALL, "checkpoint.lost"] = [3.0, 0.0, 3.0]
    signals["train", CALL, "checkpoint.difference"] = [1.0, 0.0, 1.0]
    assert not read(make_trace(signals))
    assert not read(make_trace({key: values[:1] for key, values in signals.items()}))


def test_the_worst_of_several_segments_of_a_step_counts(make_trace) -> None:
    events = [
        {
            "event": "signals",
            "step": step,
            "phase": "train",
            "rows": [[CALL, f"checkpoint.{name}", value] for name, value in segment.items()],
        }
        for step in range(2)
        for segment in (
            {"difference": 0.0, "noise": 0.0, "lost": 0.0, "reentrant": 1.0},
            {"difference": 1.0, "noise": 0.0, "lost": 4.0, "reentrant": 1.0},
        )
    ]
    (symptom,) = read(Trace.of(events))
    assert symptom.evidence["lost"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_found_and_cured_in_another_script(
    run_script: Callable[..., Trace], seed: int
) -> None:
    action = remedies["R601"].default("")
    control = run_script(SICK, seed=seed)
    treated = run_script(SICK, seed=seed, treatment=(action,))
    (symptom,) = read(control)
    text = SICK.read_text().splitlines()
    assert symptom.alarming and symptom.where == "Regressor"
    assert "memory.checkpoint(" in text[int((symptom.source or "").split(":")[1]) - 1]
    assert "prompt" in symptom.message
    assert not read(treated)
    error = Objective(name="val_mae", mode="min")
    assert error.final(treated) < 0.8 * error.final(control)
