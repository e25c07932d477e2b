from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.preprocessing_mismatch import PreprocessingMismatch

ACCURACY = Objective(name="val_acc", mode="max")
LOSS = Objective(name="val_loss", mode="min")


def read(make_trace, mean=0.0, std=1.0, metric=0.4, unknown=0.1, evaluated=None):
    signals = {
        ("train", "first", "input.mean"): [0.0, 0.05] * 10,
        ("train", "first", "input.std"): [1.0, 0.95] * 10,
        ("eval", "first", "input.mean"): [mean] * 5,
        ("eval", "first", "input.std"): [std] * 5,
        ("train", "loss", "target.unexplained"): [1.0] * 10 + [unknown] * 10,
    }
    if evaluated is not None:
        signals["eval", "val", "target.unexplained"] = [evaluated] * 5
    objective = ACCURACY if metric is not None else LOSS
    values = {objective.name: [0.2 if metric is None else metric] * 6}
    return list(PreprocessingMismatch().read(make_trace(signals, values), objective))


@pytest.mark.parametrize(("mean", "std"), [(1.0, 1.0), (0.0, 2.5), (0.0, 0.4), (0.5, 0.01)])
def test_another_mean_or_scale_that_harms(make_trace, mean, std) -> None:
    (symptom,) = read(make_trace, mean, std)
    assert symptom.alarming and symptom.where == "first"
    assert symptom.evidence["eval_std"] == std


@pytest.mark.parametrize(("mean", "std"), [(0.3, 1.0), (0.0, 1.5), (-0.4, 0.7)])
def test_noise_and_drift_are_fine(make_trace, mean, std) -> None:
    assert not read(make_trace, mean, std)


@pytest.mark.parametrize(
    "case", [{"metric": 0.95}, {"unknown": 0.9}, {"metric": None, "evaluated": 0.15}]
)
def test_no_harm_is_no_alarm(make_trace, case) -> None:
    (symptom,) = read(make_trace, 1.0, 3.0, **case)
    assert not symptom.alarming


def test_without_a_bounded_metric_the_loss_in_evaluation_tells(make_trace) -> None:
    (symptom,) = read(make_trace, 1.0, 3.0, metric=None, evaluated=4.0)
    assert symptom.alarming
