"""P805 on hand-made traces."""

from __future__ import annotations

import pytest

from probes import Objective, probes

ACC = Objective(name="val_acc", mode="max")
GOOD = [0.2, 0.6, 0.9, 0.99, 1.0, 1.0]
BAD = [0.9, 0.9, 0.5, 0.3, 0.25, 0.25]
SO_SO = [0.5, 0.7, 0.85, 0.9, 0.9, 0.9]
BODY = {"where": "body", "type": "Sequential", "source": "train.py:5", "parent": "Net"}


def part(**curves: float | list[float]) -> dict:
    usual = {"elements": 40.0, "asked": 1.0, "drift": 0.0}
    found = {("train", "opt", "held.elements"): [40.0] * 11}
    for name, curve in (usual | curves).items():
        values = curve if isinstance(curve, list) else [curve] * 11
        found["train", "body", f"frozen.{name}"] = values
    return found


def read(make_trace, signals: dict, curve: list[float]) -> list:
    return list(probes["P805"].read(make_trace(signals, {"val_acc": curve}, [BODY]), ACC))


FLAG = {("train", "body@train.py:9", "frozen.misplaced"): [1.0] * 11}


@pytest.mark.parametrize(("curve", "severity"), [(SO_SO, 0.6), (GOOD, 0.3)])
def test_an_attribute_that_freezes_nothing(make_trace, curve, severity) -> None:
    signals = part(asked=0.0, drift=0.2, stepped=0.01) | FLAG
    (symptom,) = read(make_trace, signals, curve)
    assert (symptom.where, symptom.source) == ("body", "train.py:9")
    assert symptom.severity == pytest.approx(severity)


def test_an_attribute_on_what_is_frozen_indeed_is_no_fault(make_trace) -> None:
    assert not read(make_trace, part(stepped=0.0) | FLAG, BAD)


@pytest.mark.parametrize(
    ("curves", "alarming"),
    [
        ({"drift": 0.3, "stepped": 0.01, "decay": 0.1}, True),
        ({"drift": 0.01, "stepped": 0.001, "decay": 0.1}, False),
        ({"drift": 0.3, "stepped": 0.01, "gradient": 2.0}, True),
        ({"drift": 0.3, "stepped": 0.01, "gradient": [1.0, 0.5] + [0.2] * 9}, True),
    ],
)
def test_an_optimizer_that_moves_what_asks_for_no_gradient(make_trace, curves, alarming) -> None:
    (symptom,) = read(make_trace, part(**curves), SO_SO)
    assert symptom.alarming is alarming


@pytest.mark.parametrize(
    "curves",
    [
        {"drift": 0.3, "stepped": 0.01, "gradient": [1.0, 2.0, 0.5] + [1.0] * 8},  # By hand.
        {"drift": 0.3, "stepped": [0.01] * 3 + [0.0] * 8},  # It came to rest.
        {"drift": 0.3},  # Followed from outside of any optimizer.
        {"drift": 0.3, "shift": 3.0, "spread": 2.0},
    ],
)
def test_what_is_moved_on_purpose_is_no_fault(make_trace, curves) -> None:
    assert not read(make_trace, part(**curves), BAD)


@pytest.mark.parametrize(
    ("curve", "shift", "spread", "severities"),
    [
        (BAD, 1.0, 0.0, [True]),
        (BAD, 0.0, 1.4, [True]),
        (BAD, 0.2, 0.2, []),
        (GOOD, 2.0, 2.0, [False]),
        (SO_SO, 2.0, 2.0, [False]),
    ],
)
def test_norms_that_follow_the_batches(make_trace, curve, shift, spread, severities) -> None:
    mode = {("train", "body@train.py:7", "frozen.training"): [1.0] * 11}
    found = read(make_trace, part(shift=shift, spread=spread) | mode, curve)
    assert [symptom.alarming for symptom in found] == severities
    assert all(symptom.source == "train.py:7" for symptom in found)


def test_what_was_frozen_for_a_while_is_no_fault(make_trace) -> None:
    signals = part(asked=0.0, drift=0.2, stepped=0.01) | FLAG
    trace = make_trace(signals, {"val_acc": BAD}, [BODY])
    for key, series in list(trace.signals.items()):
        if key[1] != "opt":
            trace.signals[key] = type(series)(series.steps[:6], series.values[:6])
    assert not list(probes["P805"].read(trace, ACC))
