from __future__ import annotations

import pytest

from probes._averages import updates_per_step
from probes.lagging_average import LaggingAverage
from probes.objective import Objective
from probes.trace import Trace

PLACE = "Net@train.py:30"
ACCURACY = Objective(name="val_acc", mode="max")


def read(
    make_trace,
    lag=(1.0, 0.95, 0.9),
    share=(1e-4,) * 21,
    beside=(),
    metric=ACCURACY,
    reached=0.4,
    signals=None,
):
    found = {
        ("train", "Net", "average.share"): list(share),
        ("eval", PLACE, "average.lag"): list(lag),
        **({("eval", "Net@train.py:40", "average.beside"): list(beside)} if beside else {}),
        **(signals or {}),
    }
    return list(LaggingAverage().read(make_trace(found, {metric.name: [0.3, reached]}), metric))


def test_a_copy_that_has_hardly_left_its_beginning(make_trace) -> None:
    written = {("train", "Net@train.py:20", "average.written"): [1.0]}
    (symptom,) = read(make_trace, signals=written)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("Net", "train.py:20")
    assert symptom.evidence["decay"] == pytest.approx(0.9999)
    assert symptom.evidence["horizon"] == pytest.approx(1e4)
    assert symptom.severity == pytest.approx(0.5 + 0.4 * 0.8)
    assert "90% of the way" in symptom.message and "0.9999" in symptom.message


def test_the_line_that_evaluates_it_where_no_other_is_known(make_trace) -> None:
    (symptom,) = read(make_trace)
    assert symptom.source == "train.py:30"


def test_severity_has_an_end(make_trace) -> None:
    (symptom,) = read(make_trace, lag=(1.0, 7.0))
    assert symptom.severity == pytest.approx(0.9)


@pytest.mark.parametrize(
    "lag",
    [(1.0, 0.7, 0.49), (0.9, 0.9, 0.1), (0.0, 0.0, 0.0), (float("nan"),)],
    ids=["half", "reaches them", "never behind", "unknown"],
)
def test_a_copy_that_follows(make_trace, lag) -> None:
    assert not read(make_trace, lag=lag)


def test_a_copy_that_is_evaluated_at_the_beginning_only(make_trace) -> None:
    trace = make_trace({("train", "Net", "average.share"): [1e-4] * 21})
    late = {("eval", PLACE, "average.lag"): [0.9]}
    assert not read(make_trace, lag=(), signals=late)
    assert trace.steps == 100


@pytest.mark.parametrize(
    "share",
    [(0.0,) * 21, (0.0, 1.0, 0.0, 1.0), (0.02,) * 21, (-1e-4,) * 21, ()],
    ids=["frozen", "jumps", "noise around an average", "runs away", "unknown"],
)
def test_a_copy_that_is_no_slow_average(make_trace, share) -> None:
    assert not read(make_trace, share=share)


def test_an_average_that_began_with_a_jump(make_trace) -> None:
    assert read(make_trace, share=(1.0, *[1e-4] * 20))


def test_a_line_that_calls_it_at_every_step_is_training(make_trace) -> None:
    assert not read(make_trace, lag=(1.0,) * 21)
    assert read(make_trace, lag=(1.0,) * 6)


@pytest.mark.parametrize(
    ("name", "beside", "found"),
    [
        ("val_acc", (), True),
        ("train_acc", (), False),
        ("val_acc", (1.0, 1.0, 1.0), False),
        ("ema_val_acc", (1.0, 1.0, 1.0), True),
        ("val_acc", (1.0,) * 21, True),
    ],
    ids=["alone", "of training", "beside", "named", "in training, too"],
)
def test_the_metric_must_be_that_of_the_copy(make_trace, name, beside, found) -> None:
    metric = Objective(name=name, mode="max")
    assert bool(read(make_trace, beside=beside, metric=metric)) is found


def test_a_metric_that_is_nearly_perfect_is_not_harmed(make_trace) -> None:
    assert not read(make_trace, reached=0.995)


def test_without_a_metric_nothing_is_known_of_the_copy(make_trace) -> None:
    signals = {
        ("train", "Net", "average.share"): [1e-4] * 21,
        ("eval", PLACE, "average.lag"): [1.0, 0.9],
        ("train", "loss", "loss.value"): [1.0, 0.5],
    }
    trace = make_trace(signals)
    assert not list(LaggingAverage().read(trace, None))
    assert not list(LaggingAverage().read(trace, Objective.infer(trace)))


def test_updates_are_counted_between_neighbouring_steps() -> None:
    events = [
        {
            "event": "signals",
            "step": step,
            "phase": "train",
            "rows": [["Net", "average.share", value]],
        }
        for step, value in enumerate([1e-3, 0.0] * 8)
    ]
    later = [{**events[0], "step": step} for step in range(20, 60, 4)]
    assert updates_per_step(Trace.of([*events, *later]), "Net") == pytest.approx(0.5, abs=0.05)
    assert updates_per_step(Trace(), "Net") == 1.0


def read_swapped(make_trace, pace, lag=(1.0, 0.95, 0.9)):
    signals = {
        ("eval", PLACE, "average.swapped"): list(lag),
        ("train", "Net", "average.pace"): list(pace),
    }
    trace = make_trace(signals, {"val_acc": [0.3, 0.4]})
    return list(LaggingAverage().read(trace, ACCURACY))


def test_an_average_that_is_put_into_the_model(make_trace) -> None:
    (symptom,) = read_swapped(make_trace, [1e-3] * 4)
    assert (symptom.where, symptom.source) == ("Net", "train.py:30")
    assert symptom.evidence["decay"] == pytest.approx(0.999)


@pytest.mark.parametrize("pace", [(0.0,) * 4, (1.0,) * 4, (0.0, 1.0, 0.0), (0.03,) * 4, ()])
def test_other_values_that_are_put_into_the_model(make_trace, pace) -> None:
    assert not read_swapped(make_trace, pace)


def test_a_close_average_that_is_put_into_the_model(make_trace) -> None:
    assert not read_swapped(make_trace, [1e-3] * 4, lag=(0.4, 0.2, 0.1))
