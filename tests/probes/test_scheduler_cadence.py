"""A learning rate that never comes near what its schedule means to reach."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from probes import Objective, Symptom, Trace, probes
from probes.trace import Event

ACC = Objective(name="val_acc", mode="max")
LOSS = Objective(name="val_loss", mode="min")
BAD = [0.2, 0.21, 0.2, 0.22, 0.21, 0.2]
GOOD = [0.2, 0.6, 0.9, 0.99, 1.0, 1.0]
WARM_UP = [0.005 * place for place in range(11)]


def read(
    make_trace,
    rates: Sequence[float],
    curve: Sequence[float] = BAD,
    aim: float = 1.0,
    moves: float | None = 10.0,
    metric: Objective | None = ACC,
) -> list[Symptom]:
    signals = {("train", "opt", "rate.value"): rates, ("train", "opt", "rate.aim"): [aim]}
    if moves is not None:
        signals["train", "opt@train.py:8", "schedule.position"] = [0.0, moves]
    trace = make_trace(signals, {metric.name: curve} if metric else {})
    trace.feed({"event": "loop", "where": "opt", "source": "train.py:3"})
    return list(probes["P807"].read(trace, metric))


@pytest.mark.parametrize(
    ("rates", "aim", "severities"),
    [
        (WARM_UP, 1.0, [0.975]),
        (WARM_UP, 10.0, [0.9975]),
        (WARM_UP, 0.4, []),  # An eighth of it is near enough.
        (WARM_UP, 0.05, []),
        (WARM_UP, 0.0, []),  # No schedule was made.
        ([0.05] * 11, 1.0, []),  # It is meant to be low: a lambda of one group, say.
        ([*WARM_UP[:-1], 0.04], 1.0, []),  # A cycle, past its top.
        ([0.01] * 5 + [0.05] * 6, 1.0, []),  # It rose before, and rises no more.
        ([0.01] * 7 + [0.05] * 4, 1.0, [0.975]),  # Once in an epoch.
        (WARM_UP[:3], 1.0, []),
    ],
)
def test_the_learning_rate_never_rises(make_trace, rates, aim, severities) -> None:
    found = read(make_trace, rates, aim=aim)
    assert [symptom.severity for symptom in found] == pytest.approx(severities)
    assert all(symptom.source == "train.py:8" for symptom in found)


@pytest.mark.parametrize(
    ("metric", "curve", "alarming"),
    [
        (ACC, BAD, True),
        (ACC, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7], True),
        (ACC, [0.2, 0.6, 0.6, 0.6, 0.6, 0.6], True),
        (ACC, GOOD, False),
        (LOSS, [2.0, 2.0, 1.99, 2.0, 1.98, 1.99], True),
        (LOSS, [2.0, 1.9, 1.8, 1.7, 1.6, 1.5], True),
        (LOSS, [2.0, 1.8, 1.6, 1.3, 1.1, 0.9], True),
        (LOSS, [2.0, 0.9, 0.8, 0.8, 0.8, 0.8], False),  # Perhaps all that is to be had.
        (LOSS, [2.0, 1.6, 1.2, 0.8, 0.4, 0.1], False),
        (None, [], False),
    ],
)
def test_what_is_left_to_gain_makes_it_an_alarm(make_trace, metric, curve, alarming) -> None:
    (symptom,) = read(make_trace, WARM_UP, curve, metric=metric)
    assert symptom.alarming is alarming
    assert symptom.severity == (pytest.approx(0.975) if alarming else 0.3)


def test_a_training_loss_that_stays_is_harm_enough(make_trace) -> None:
    signals = {
        ("train", "opt", "rate.value"): WARM_UP,
        ("train", "opt", "rate.aim"): [1.0],
        ("train", "loss", "loss.value"): [2.0] * 11,
        ("train", "opt@train.py:8", "schedule.position"): [0.0, 10.0],
    }
    trace = make_trace(signals, {"val_loss": [2.0] * 6})
    assert [symptom.alarming for symptom in probes["P807"].read(trace, LOSS)] == [True]


def test_a_schedule_that_stands_still_is_told_by_its_optimizer(make_trace) -> None:
    (symptom,) = read(make_trace, [0.01] * 11, moves=None)
    assert symptom.alarming and symptom.source == "train.py:3"
    assert symptom.evidence == {"aim": 1.0, "rate": 0.01, "moves": 0.0, "pace": 0.0}
    assert "nothing moved its schedule in 100 steps" in symptom.message


def test_the_message_tells_how_often_it_was_moved(make_trace) -> None:
    (symptom,) = read(make_trace, WARM_UP)
    assert symptom.evidence == {"aim": 1.0, "rate": 0.05, "moves": 10.0, "pace": 0.1}
    assert "train.py:8 had moved its schedule 10 times by step 100 of 100" in symptom.message


@pytest.mark.parametrize(("status", "count"), [("completed", 1), ("stopped", 0), ("timeout", 0)])
def test_a_run_that_was_cut_short_may_be_in_its_warm_up(status: str, count: int) -> None:
    events: list[Event] = []
    for step in range(50):
        rows = [["opt", "rate.value", 0.001 * step], ["opt", "rate.aim", 1.0]]
        rows.append(["opt@train.py:8", "schedule.position", float(step)])
        events.append({"event": "signals", "step": step, "phase": "train", "rows": rows})
    events += [{"event": "metric", "step": s, "name": "val_acc", "value": 0.2} for s in (20, 40)]
    trace = Trace.of([*events, {"event": "ending", "status": status, "steps": 50}])
    assert len(list(probes["P807"].read(trace, ACC))) == count


def test_the_life_of_a_second_optimizer_begins_with_it() -> None:
    events: list[Event] = []
    for step in range(50, 100):
        rows = [["late", "rate.value", 0.001 * (step - 49)], ["late", "rate.aim", 1.0]]
        rows.append(["late@train.py:8", "schedule.position", step - 50.0])
        events.append({"event": "signals", "step": step, "phase": "train", "rows": rows})
    trace = Trace.of([*events, {"event": "progress", "step": 100}])
    (symptom,) = probes["P807"].read(trace, None)
    assert symptom.step == 50 and symptom.evidence["pace"] == 1.0
