from __future__ import annotations

import pytest

from probes import Objective
from probes.attention_entropy_collapse import AttentionEntropyCollapse
from probes.trace import Trace

METRIC = Objective(name="val_acc", mode="max")
STUCK = {"val_acc": [0.2] * 8}
SLOWLY = {"val_acc": [0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6]}
WELL = {"val_acc": [0.2, 0.6, 0.8, 0.9, 0.95, 0.96, 0.97, 0.98]}


def trace_of(make_trace, metrics=STUCK, **values: float) -> Trace:
    numbers = {"entropy": 0.02, "scale": 30.0, "top": 0.98, "keys": 9.0, "across": 0.0, **values}
    signals = {
        ("train", "block.attention", f"attention.{name}"): [value] * 12
        for name, value in numbers.items()
    }
    trace = make_trace(signals, metrics)
    event = {"event": "attention", "where": "block.attention", "source": "train.py:7"}
    trace.feed(event | {"operation": "softmax", "call": "softmax@train.py:7"})
    return trace


def test_one_hot_weights_and_a_metric_that_stands_still(make_trace) -> None:
    (symptom,) = AttentionEntropyCollapse().read(trace_of(make_trace), METRIC)
    assert (symptom.where, symptom.source) == ("block.attention", "train.py:7")
    assert symptom.severity == pytest.approx(0.92)
    assert symptom.evidence["first_scale"] == 30.0


def test_a_sharp_head_of_a_model_that_does_its_task_is_an_observation(make_trace) -> None:
    (symptom,) = AttentionEntropyCollapse().read(trace_of(make_trace, WELL), METRIC)
    assert symptom.severity == 0.3


@pytest.mark.parametrize(("learns", "severity"), [(SLOWLY, 0.6), (WELL, 0.3)])
def test_attention_that_begins_nearly_one_hot(make_trace, learns, severity) -> None:
    trace = trace_of(make_trace, learns, entropy=0.15, scale=10.0)
    (symptom,) = AttentionEntropyCollapse().read(trace, METRIC)
    assert symptom.severity == severity and "from the first step on" in symptom.message
    trace = trace_of(make_trace, learns)
    (symptom,) = AttentionEntropyCollapse().read(trace, METRIC)
    assert symptom.severity == severity and "one key" in symptom.message


def test_some_attention_of_a_trained_model_may_begin_sharp(make_trace) -> None:
    trace = trace_of(make_trace, SLOWLY, entropy=0.15, scale=10.0)
    event = {"event": "attention", "where": "other.attention", "source": "train.py:8"}
    trace.feed(event | {"operation": "softmax", "call": "softmax@train.py:8"})
    numbers = {"entropy": 0.5, "scale": 2.0, "keys": 9.0}
    rows = [["other.attention", f"attention.{name}", value] for name, value in numbers.items()]
    for step in range(0, 100, 10):
        trace.feed({"event": "signals", "step": step, "phase": "train", "rows": rows})
    assert not list(AttentionEntropyCollapse().read(trace, METRIC))


@pytest.mark.parametrize("values", [{"entropy": 0.3}, {"scale": 3.0}, {"keys": 2.0}], ids=str)
def test_what_is_not_one_hot_by_its_scores(make_trace, values) -> None:
    assert not list(AttentionEntropyCollapse().read(trace_of(make_trace, **values), METRIC))


def test_uniform_weights_are_an_observation(make_trace) -> None:
    trace = trace_of(make_trace, entropy=1.0, scale=1e-5)
    (symptom,) = AttentionEntropyCollapse().read(trace, METRIC)
    assert symptom.severity == 0.3 and "same weight" in symptom.message


@pytest.mark.parametrize(("metrics", "severity"), [(STUCK, 0.9), (WELL, 0.3)])
def test_a_softmax_along_another_axis(make_trace, metrics, severity) -> None:
    trace = trace_of(make_trace, metrics, across=1.0, entropy=0.9, scale=1.0)
    (symptom,) = AttentionEntropyCollapse().read(trace, METRIC)
    assert symptom.severity == severity and "another axis" in symptom.message


@pytest.mark.parametrize(("last", "severity"), [(0.2, 0.9), (0.99, 0.3)])
def test_a_softmax_of_a_softmax(make_trace, last, severity) -> None:
    metrics = {"val_acc": [0.2] * 7 + [last]}
    trace = trace_of(make_trace, metrics, twice=1.0, entropy=0.99, scale=0.1)
    (symptom,) = AttentionEntropyCollapse().read(trace, METRIC)
    assert symptom.severity == severity and "apply it once" in symptom.message
