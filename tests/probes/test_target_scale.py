from __future__ import annotations

import math

import pytest

from probes.objective import Objective
from probes.target_scale import TargetScale

LOSS = Objective(name="val_loss", mode="min")
R2 = Objective(name="val_r2", mode="max")
FLAT = [14.0] * 9


def read(make_trace, scale=300.0, unexplained=FLAT, said=(1.0,) * 9, loss=FLAT, r2=()):
    signals = {
        ("train", "train.py:1", "target.scale"): [scale] * 9,
        ("train", "train.py:1", "target.std"): [scale / 4] * 9,
        ("train", "train.py:1", "target.unexplained"): unexplained,
        ("train", "train.py:1", "prediction.scale"): said,
        ("train", "loss", "loss.value"): loss,
    }
    trace = make_trace(signals, {"val_r2": r2} if r2 else {}, terms=("loss",))
    return list(TargetScale().read(trace, R2 if r2 else LOSS))


@pytest.mark.parametrize("scale", [300.0, 1e-4])
def test_predictions_far_from_the_level_of_the_targets(make_trace, scale) -> None:
    (symptom,) = read(make_trace, scale)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("loss", "train.py:1")


def test_predictions_that_still_grow_towards_their_size(make_trace) -> None:
    grows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    (symptom,) = read(make_trace, unexplained=[1.0] * 9, said=grows)
    assert symptom.alarming
    (symptom,) = read(make_trace, unexplained=[1.0] * 9)
    assert symptom.severity == 0.3, "noise: there is nothing else to say"


def test_a_level_that_is_reached_late(make_trace) -> None:
    late = [14.0, 12.0, 8.0, 3.0, 0.9, 0.7, 0.6, 0.6, 0.6]
    (symptom,) = read(make_trace, unexplained=late)
    assert symptom.alarming
    (symptom,) = read(make_trace, unexplained=[14.0, *[0.6] * 8])
    assert symptom.severity == 0.3
    (symptom,) = read(make_trace, unexplained=[*late[:4], *[0.1] * 5])
    assert symptom.severity == 0.3


def test_a_loss_that_overflows(make_trace) -> None:
    (symptom,) = read(make_trace, loss=[1.0, 1e30, *[math.nan] * 7], unexplained=[math.nan] * 9)
    assert symptom.alarming


def test_targets_of_unit_scale_and_a_metric_near_its_best(make_trace) -> None:
    assert not read(make_trace, 3.0)
    (symptom,) = read(make_trace, r2=[0.2, 0.9, 0.95, 0.96])
    assert symptom.severity == 0.3
