from __future__ import annotations

import pytest

from probes.blocked_gradients import BlockedGradients
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")
RISING = [0.1, 0.3, 0.45, 0.6, 0.65, 0.7]
FLAT = [0.1] * 6


def read(make_trace, curve, *parameters, held=1000.0, dead=0.0):
    signals = {("train", "adam", "held.elements"): [held] * 11}
    signals["train", "relu", "unit.dead"] = [dead] * 11
    for where, elements, zeros, *fresh in parameters:
        values = {"elements": elements, "zeros": zeros, "fresh": fresh[0] if fresh else 1.0}
        for name, value in values.items():
            signals["train", where, f"blocked.{name}"] = [value] * 11
    module = {"where": "net.0", "type": "Adapter", "source": "train.py:7", "parameters": 5000}
    trace = make_trace(signals, {"val_acc": curve}, [module])
    return list(BlockedGradients().read(trace, ACCURACY))


ADAPTER = [("net.0.down", 300.0, 1.0), ("net.0.up", 200.0, 1.0)]


@pytest.mark.parametrize(
    ("curve", "alarming"), [(FLAT, True), (RISING, True), ([0.1, 0.5, 0.8, 0.9, 0.95, 0.95], False)]
)
def test_zeros_that_block_each_other(make_trace, curve, alarming) -> None:
    (symptom,) = read(make_trace, curve, *ADAPTER)
    assert symptom.alarming is alarming
    assert (symptom.where, symptom.source) == ("net.0.down", "train.py:7")
    assert symptom.evidence == {"elements": 500.0, "share": 0.5, "zeros": 1.0}
    assert "net.0.down and 1 more (500 parameters)" in symptom.message


def test_a_few_zeros_are_no_alarm(make_trace) -> None:
    (symptom,) = read(make_trace, FLAT, *ADAPTER, held=10_000.0)
    assert not symptom.alarming


@pytest.mark.parametrize(("curve", "alarming"), [(FLAT, True), (RISING, False)])
def test_weights_that_nothing_depends_on(make_trace, curve, alarming) -> None:
    (symptom,) = read(make_trace, curve, ("query", 400.0, 0.0))
    assert symptom.alarming is alarming and "the loss is the same" in symptom.message


def test_dead_units_tell_why_already(make_trace) -> None:
    (symptom,) = read(make_trace, FLAT, ("query", 400.0, 0.0), dead=1.0)
    assert not symptom.alarming


def test_what_was_loaded_or_trained_before_is_left_alone(make_trace) -> None:
    assert not read(make_trace, FLAT, ("query", 400.0, 0.0, 0.0))


def test_both_kinds_are_told_apart(make_trace) -> None:
    found = read(make_trace, FLAT, *ADAPTER, ("query", 400.0, 0.0))
    assert [symptom.evidence["zeros"] for symptom in found] == [1.0, 0.0]
