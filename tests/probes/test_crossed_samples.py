from __future__ import annotations

import pytest

from probes.crossed_samples import CrossedSamples
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")


def read(make_trace, signals, metric=0.4):
    trace = make_trace(signals, {"val_acc": [metric] * 6})
    return list(CrossedSamples().read(trace, ACCURACY))


def layer(*values):
    return {("train", "net.lstm", "samples.in_time"): list(values)}


def reshape(*axes):
    return {("train", "train.py:9", "samples.axis"): list(axes)}


@pytest.mark.parametrize(("metric", "alarming"), [(0.4, True), (0.95, False)])
def test_a_layer_that_goes_from_sample_to_sample(make_trace, metric, alarming) -> None:
    (symptom,) = read(make_trace, layer(1.0, 1.0, 1.0, 1.0, 0.0), metric)
    assert symptom.where == "net.lstm" and symptom.alarming is alarming


@pytest.mark.parametrize("values", [(1.0, 1.0), (1.0, 1.0, 1.0, 0.0), (0.0, 0.0, 0.0)])
def test_a_layer_that_has_time_there_is_left_alone(make_trace, values) -> None:
    assert not read(make_trace, layer(*values))


def test_a_reshape_that_mixes_samples(make_trace) -> None:
    (symptom,) = read(make_trace, reshape(1.0, 1.0, 1.0))
    assert (symptom.source, symptom.evidence["axis"]) == ("train.py:9", 1.0) and symptom.alarming


@pytest.mark.parametrize("axes", [(1.0, 1.0), (1.0, 2.0, 1.0)])
def test_a_reshape_of_something_else_is_left_alone(make_trace, axes) -> None:
    assert not read(make_trace, reshape(*axes))


ERROR = Objective(name="val_rmse", mode="min")


@pytest.mark.parametrize(
    ("errors", "alarming"), [([2.0, 1.5, 1.4], True), ([2.0, 0.5, 0.1], False)]
)
def test_samples_that_compete(make_trace, errors, alarming) -> None:
    signals = {("train", "train.py:9", "samples.compete"): [1.0] * 4}
    (symptom,) = CrossedSamples().read(make_trace(signals, {"val_rmse": errors}), ERROR)
    assert symptom.source == "train.py:9" and symptom.alarming is alarming


def test_samples_that_do_not_compete(make_trace) -> None:
    assert not read(make_trace, {("train", "train.py:9", "samples.compete"): [0.0] * 4})
