from __future__ import annotations

import math

import pytest

from probes.input_scale import InputScale
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")
STUCK = [0.2, 0.25, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
GOOD = [0.2, 0.6, 0.9, 0.95, 0.96, 0.96, 0.97, 0.97]


def read(make_trace, rms=1.0, largest=1.2, spread=2.0, curve=STUCK, **more):
    signals = {
        ("train", "first", "input.rms"): [rms] * 9,
        ("train", "first", "input.largest"): [largest] * 9,
        ("train", "first", "input.spread"): [spread] * 9,
    }
    for name, values in more.items():
        signals["train", "loss", name.replace("_", ".")] = values
    modules = [{"where": "first", "type": "Linear", "source": "train.py:3", "parent": ""}]
    trace = make_trace(signals, {"val_acc": curve} if curve else {}, modules)
    return list(InputScale().read(trace, ACCURACY if curve else None))


@pytest.mark.parametrize(
    "scale",
    [
        {"rms": 130.0, "largest": 130.0},
        {"rms": 3.0, "largest": 9.0, "spread": 400.0},
        {"rms": 1e-3},
    ],
)
def test_inputs_that_are_not_scaled_and_harm(make_trace, scale) -> None:
    (symptom,) = read(make_trace, **scale)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("first", "train.py:3")
    (symptom,) = read(make_trace, curve=GOOD, **scale)
    assert not symptom.alarming


def test_inputs_of_about_unit_scale(make_trace) -> None:
    assert not read(make_trace)
    assert not read(make_trace, rms=4.0, largest=8.0, spread=20.0)


def test_without_a_bounded_metric_the_loss_tells(make_trace) -> None:
    (symptom,) = read(make_trace, 130.0, 130.0, curve=None, target_unexplained=[0.9] * 9)
    assert symptom.alarming
    (symptom,) = read(make_trace, 130.0, 130.0, curve=None, target_unexplained=[0.1] * 9)
    assert not symptom.alarming


def test_a_loss_that_overflows_is_harm(make_trace) -> None:
    broken = [1.0, 2.0, math.nan, math.nan]
    (symptom,) = read(make_trace, 130.0, 130.0, curve=None, loss_value=broken)
    assert symptom.alarming
