from __future__ import annotations

import pytest

from probes import Objective
from probes.dead_units import DeadUnits
from probes.trace import Trace

METRIC = Objective(name="val_acc", mode="max")
STUCK = {"val_acc": [0.3] * 8}


def trace_of(make_trace, shares: dict[str, float], metrics: dict | None = None) -> Trace:
    signals = {}
    for where, share in shares.items():
        signals["train", where, "unit.dead"] = [share] * 12
        signals["train", where, "unit.count"] = [40.0] * 12
    trace = make_trace(signals, metrics or STUCK)
    for where in shares:
        event = {"event": "activation", "where": where, "source": f"train.py:{where[-1]}"}
        trace.feed(event | {"operation": "relu", "kind": "rectified"})
    return trace


def test_a_dead_layer_and_a_metric_that_stands_still(make_trace) -> None:
    first, second = DeadUnits().read(trace_of(make_trace, {"net.1": 0.95, "net.3": 1.0}), METRIC)
    assert (first.where, first.source, first.severity) == (
        "net.1",
        "train.py:1",
        pytest.approx(0.8),
    )
    assert second.severity == 0.3  # what follows from the first


@pytest.mark.parametrize(
    "metrics",
    [{"val_acc": [0.3, 0.7, 0.9, 0.95, 0.95]}, {"val_acc": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}],
    ids=["near its best", "still rising"],
)
def test_dead_units_of_a_run_that_does_well_are_an_observation(make_trace, metrics) -> None:
    (symptom,) = DeadUnits().read(trace_of(make_trace, {"net.1": 1.0}, metrics), METRIC)
    assert symptom.severity == 0.3


def test_half_a_layer_may_be_dead(make_trace) -> None:
    assert not list(DeadUnits().read(trace_of(make_trace, {"net.1": 0.8}), METRIC))


def test_what_is_not_hidden_is_not_looked_at(make_trace) -> None:
    trace = trace_of(make_trace, {"net.1": 1.0})
    trace.activations.clear()
    assert not list(DeadUnits().read(trace, METRIC))


def test_a_stream_that_goes_on_beside_it_makes_it_harmless(make_trace) -> None:
    trace = trace_of(make_trace, {"net.1": 1.0})
    row = ["net", "branch.ratio", 0.1]
    trace.feed({"event": "signals", "step": 3, "phase": "train", "rows": [row]})
    (symptom,) = DeadUnits().read(trace, METRIC)
    assert symptom.severity == 0.3
