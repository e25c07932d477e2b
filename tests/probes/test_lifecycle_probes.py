"""P801 to P807 on hand-made traces."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from probes import Objective, Symptom, Trace, probes
from probes.trace import Event

ACC = Objective(name="val_acc", mode="max")
BAD = [0.2, 0.21, 0.2, 0.22, 0.21, 0.2]
GOOD = [0.2, 0.6, 0.9, 0.99, 1.0, 1.0]
HELD = {
    ("train", "opt", "held.elements"): [40.0] * 11,
    ("train", "opt", "held.reached"): [40.0] * 11,
}


def severities(code: str, trace, metric: Objective | None = ACC) -> list[float]:
    return [symptom.severity for symptom in probes[code].read(trace, metric)]


def alarms(found: Iterable[Symptom]) -> list[str]:
    return [symptom.where for symptom in found if symptom.alarming]


@pytest.mark.parametrize(("code", "name"), [("P801", "cycle.carried"), ("P806", "cycle.cleared")])
@pytest.mark.parametrize(
    ("curve", "count"),
    [
        ([0.0] + [1.0] * 10, 1),
        ([0.0, *([1.0] * 7), 0.0, 1.0, 1.0], 1),
        ([0.0] * 11, 0),
        ([1.0] + [0.0] * 10, 0),
        ([0.0] + [1.0, 1.0, 1.0, 0.0] * 3, 0),
        ([0.0] + [1.0] * 8 + [0.0, 0.0], 0),
        ([0.0, 1.0, 1.0], 0),
    ],
)
def test_gradients_that_are_carried_or_cleared_in_most_steps(
    make_trace, code, name, curve, count
) -> None:
    trace = make_trace({("train", "opt", name): curve}, {"val_acc": GOOD})
    found = list(probes[code].read(trace, ACC))
    assert alarms(found) == ["opt"] * count
    assert all(symptom.step > 0 for symptom in found)


def outside(fresh: float, moved: float = 0.0, late: float = 1.0) -> dict:
    signals = {"elements": 10.0, "fresh": fresh, "late": late, "moved": moved}
    return {
        ("train", "head.weight", f"outside.{name}"): [value] * 11 for name, value in signals.items()
    }


HEAD = {
    "where": "head",
    "type": "Linear",
    "source": "train.py:9",
    "parameters": 10,
    "parent": "Net",
}
NET = {"where": "Net", "type": "Net", "source": "train.py:20", "parameters": 50}


@pytest.mark.parametrize(
    ("fresh", "moved", "curve", "alarming", "count"),
    [
        (1.0, 0.0, BAD, True, 1),
        (1.0, 0.0, GOOD, False, 1),  # It does no harm.
        (0.0, 0.0, BAD, True, 1),  # A frozen backbone that learns nothing.
        (0.0, 0.0, [0.1, 0.3, 0.5, 0.6, 0.65, 0.65], False, 1),
        (1.0, 1.0, BAD, False, 0),  # Moved by hand.
    ],
)
def test_parameters_outside(make_trace, fresh, moved, curve, alarming, count) -> None:
    trace = make_trace(HELD | outside(fresh, moved), {"val_acc": curve}, [NET, HEAD])
    found = list(probes["P802"].read(trace, ACC))
    assert len(found) == count
    assert alarms(found) == (["head"] if alarming else [])
    assert all(symptom.source == "train.py:9" for symptom in found)


def test_an_optimizer_that_holds_nothing_of_the_loss_is_an_alarm_whatever_the_metric(
    make_trace,
) -> None:
    held = HELD | {("train", "opt", "held.reached"): [0.0] * 11}
    trace = make_trace(held | outside(0.0), {"val_acc": GOOD}, [NET, HEAD])
    assert severities("P802", trace) == [1.0]


def test_parameters_that_join_later_are_no_symptom(make_trace) -> None:
    few = {key: curve[:1] for key, curve in outside(1.0).items()}
    assert not severities("P802", make_trace(HELD | few, {"val_acc": BAD}, [NET, HEAD]))


def mode(phase: str, line: str, **values: list[float]) -> dict:
    full = {"training": [1.0], "active": [1.0], "trained": [1.0], "repeats": [1.0]} | values
    length = max(map(len, full.values()))
    return {
        (phase, f"Net@{line}", f"mode.{name}"): v if len(v) == length else v * length
        for name, v in full.items()
    }


LEFT = {"training": [1.0] * 2 + [0.0] * 9, "active": [1.0] * 2 + [0.0] * 9}


@pytest.mark.parametrize(
    ("values", "curve", "found"),
    [
        (LEFT, BAD, [0.8]),
        (LEFT, [0.2, 0.7, 0.9, 0.9, 0.9, 0.9], [0.8]),
        (LEFT, GOOD, [0.3]),
        ({"training": [0.0] * 11, "active": [0.0]}, BAD, [0.8]),
        ({"training": [0.0] * 11, "active": [0.0]}, [0.2, 0.7, 0.9, 0.9, 0.9, 0.9], [0.3]),
        ({"training": [1.0] * 11, "active": [0.0]}, BAD, []),  # A part of it is frozen.
        ({"training": [0.0] * 11, "active": [0.0], "trained": [0.0]}, BAD, []),
        ({"training": [1.0, 0.0] * 5 + [1.0]}, BAD, []),
    ],
)
def test_the_mode_in_training(make_trace, values, curve, found) -> None:
    trace = make_trace(mode("train", "train.py:7", **values), {"val_acc": curve})
    assert severities("P803", trace) == found


@pytest.mark.parametrize(
    ("values", "curve", "found"),
    [
        ({"training": [1.0] * 6}, BAD, [0.8]),
        ({"training": [1.0] * 6}, GOOD, [0.3]),
        ({"training": [0.0] * 6, "active": [0.0]}, BAD, []),
        ({"training": [1.0] * 6, "active": [0.0]}, BAD, []),
        ({"training": [1.0] * 6, "repeats": [8.0]}, BAD, []),  # Monte Carlo dropout.
        ({"training": [1.0] * 6, "trained": [0.0]}, BAD, []),
        ({"training": [1.0] * 51}, BAD, [0.3]),  # In every step, not where it is judged.
    ],
)
def test_the_mode_in_evaluation(make_trace, values, curve, found) -> None:
    trace = make_trace(mode("eval", "train.py:7", **values), {"val_acc": curve})
    assert severities("P803", trace) == found


def idle(kind: str, fresh: float = 1.0, moved: float = 0.0) -> dict:
    signals = {"elements": 10.0, "fresh": fresh, "frozen": 0.0, "moved": moved}
    rows = {("train", "head.weight", f"idle.{name}"): [v] * 11 for name, v in signals.items()}
    return rows | ({("train", "head.weight@train.py:5", f"cut.{kind}"): [1.0]} if kind else {})


@pytest.mark.parametrize(
    ("signals", "curve", "found"),
    [
        (idle("detach"), BAD, [0.625]),
        (idle("detach"), GOOD, [0.3]),
        (idle("detach", fresh=0.0), BAD, [0.3]),
        (idle("detach", moved=1.0), BAD, []),
        (idle(""), BAD, []),  # Never used.
        (idle("item"), GOOD, [0.625]),  # Of another head, say.
        (idle("item", fresh=0.0), BAD, [0.3]),
        (idle("no_grad"), BAD, [0.625]),
        (idle("no_grad"), [0.1, 0.3, 0.5, 0.6, 0.65, 0.65], [0.3]),
    ],
)
def test_idle_parameters(make_trace, signals, curve, found) -> None:
    trace = make_trace(HELD | signals, {"val_acc": curve}, [NET, HEAD])
    assert severities("P804", trace) == found
    assert all(s.source == "train.py:5" for s in probes["P804"].read(trace, ACC))


@pytest.mark.parametrize(
    ("rates", "curve", "alarming", "count"),
    [
        ([1.0, 0.1] + [1e-4] * 9, BAD, True, 1),
        ([1.0, 0.1] + [1e-4] * 9, GOOD, False, 1),
        ([1.0, 0.1] + [1e-4] * 9, [0.2, 0.2, 0.4, 0.5, 0.6, 0.7], False, 1),  # It goes on.
        ([1.0] * 6 + [1e-4] * 5, BAD, False, 0),
        ([1e-4] * 9 + [1.0, 1.0], BAD, False, 0),  # A long warm-up.
        ([1.0] * 11, BAD, False, 0),
        ([0.0] * 11, BAD, False, 0),
    ],
)
def test_the_learning_rate_falls_early(make_trace, rates, curve, alarming, count) -> None:
    signals = {
        ("train", "opt", "rate.value"): rates,
        ("train", "opt@train.py:8", "schedule.position"): [1.0],
    }
    found = list(probes["P807"].read(make_trace(signals, {"val_acc": curve}), ACC))
    assert [symptom.source for symptom in found] == ["train.py:8"] * count
    assert bool(alarms(found)) is alarming


def test_the_schedule_of_a_second_model_begins_with_its_optimizer() -> None:
    events: list[Event] = [
        *(
            {"event": "metric", "step": step, "name": "val_acc", "value": 0.3}
            for step in range(50, 100, 5)
        ),
        {"event": "progress", "step": 100},
    ]
    for step in range(50, 100):
        row = ["student", "rate.value", 1.0 if step < 60 else 1e-4]
        events.append({"event": "signals", "step": step, "phase": "train", "rows": [row]})
    (symptom,) = probes["P807"].read(Trace.of(events), ACC)
    assert symptom.alarming
    assert symptom.evidence["share"] == pytest.approx(0.8)
