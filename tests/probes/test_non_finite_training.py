from __future__ import annotations

import math

from probes.non_finite_training import NonFiniteTraining
from probes.objective import Objective

MODULES = [{"where": "net.2", "type": "Linear", "source": "train.py:9"}]
NAN, INF = math.nan, math.inf


def test_the_first_module_that_was_not_finite_is_named(make_trace) -> None:
    signals = {
        ("train", "net.0", "output.mean"): [1.0, 1.0, 1.0, NAN, NAN],
        ("train", "net.2", "output.mean"): [1.0, 1.0, INF, NAN, NAN],
        ("train", "loss", "loss.value"): [1.0, 2.0, INF, NAN, NAN],
    }
    (symptom,) = NonFiniteTraining().read(make_trace(signals, modules=MODULES))
    assert (symptom.where, symptom.source, symptom.step) == ("net.2", "train.py:9", 50)
    assert symptom.alarming


def test_a_metric_that_ends_so_is_enough(make_trace) -> None:
    trace = make_trace(metrics={"val_loss": [1.0, NAN]})
    assert list(NonFiniteTraining().read(trace, Objective(name="val_loss", mode="min")))


def test_one_step_that_loss_scaling_skips_is_none(make_trace) -> None:
    signals = {("train", "loss", "loss.value"): [1.0, INF, 0.9, 0.8]}
    assert not list(NonFiniteTraining().read(make_trace(signals)))


def test_a_script_that_stops_itself_before_the_loss_overflows(make_trace) -> None:
    signals = {("train", "loss", "loss.value"): [1.0, 40.0, 9e5]}
    stopped, completed = make_trace(signals), make_trace(signals)
    stopped.feed({"event": "ending", "status": "raised", "message": "RuntimeError: diverged"})
    completed.feed({"event": "ending", "status": "completed"})
    assert [s.where for s in NonFiniteTraining().read(stopped)] == ["loss"]
    assert not list(NonFiniteTraining().read(completed))


def test_the_call_that_made_it_is_named_with_its_line(make_trace) -> None:
    curve = {("train", "loss", "loss.value"): [1.0, 0.9, float("nan"), float("nan")]}
    trace = make_trace(curve, terms=("likelihood",))
    culprit = {"event": "nonfinite", "operation": "log", "direction": "forward", "step": 40}
    trace.feed(culprit | {"source": "train.py:1"})
    (symptom,) = NonFiniteTraining().read(trace, None)
    assert (symptom.where, symptom.source, symptom.step) == ("likelihood", "train.py:1", 40)
    assert "the result of log at train.py:1" in symptom.message


def test_an_overflow_of_a_layer_is_no_fault_of_its_call(make_trace) -> None:
    trace = make_trace({("train", "loss", "loss.value"): [1.0, 0.9, float("inf")]})
    trace.feed({"event": "nonfinite", "operation": "linear", "source": "train.py:1", "step": 40})
    (symptom,) = NonFiniteTraining().read(trace, None)
    assert symptom.source is None
