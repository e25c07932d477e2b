from __future__ import annotations

import pytest

from probes import Objective
from probes.saturated_units import SaturatedUnits
from probes.trace import Trace

METRIC = Objective(name="val_acc", mode="max")


def trace_of(make_trace, share: float, curve: list[float], **signals: list[float]) -> Trace:
    found = {("train", "hidden", "unit.saturated"): [share] * 12}
    found |= {("train", "train.py:9", name): values for name, values in signals.items()}
    trace = make_trace(found, {"val_acc": curve})
    trace.feed(
        {"event": "activation", "where": "hidden", "source": "train.py:4", "operation": "tanh"}
    )
    return trace


def test_saturated_and_stuck(make_trace) -> None:
    (symptom,) = SaturatedUnits().read(trace_of(make_trace, 0.9, [0.4] * 8), METRIC)
    assert symptom.severity == pytest.approx(0.8)
    assert (symptom.where, symptom.source) == ("hidden", "train.py:4")


def test_saturated_and_well(make_trace) -> None:
    (symptom,) = SaturatedUnits().read(trace_of(make_trace, 0.95, [0.4, 0.9, 0.9, 0.9]), METRIC)
    assert symptom.severity == 0.3
    assert not list(SaturatedUnits().read(trace_of(make_trace, 0.6, [0.4] * 8), METRIC))


def test_a_regression_that_explains_nothing_is_stuck_without_a_metric(make_trace) -> None:
    nothing = {"target.unexplained": [0.99] * 12}
    (symptom,) = SaturatedUnits().read(trace_of(make_trace, 0.9, [0.4] * 8, **nothing), None)
    assert symptom.alarming
    something = {"target.unexplained": [0.4] * 12}
    (symptom,) = SaturatedUnits().read(trace_of(make_trace, 0.9, [0.4] * 8, **something), None)
    assert not symptom.alarming
