from __future__ import annotations

import pytest

from probes.labels_out_of_range import LabelsOutOfRange
from probes.objective import Objective
from probes.trace import Trace

ACCURACY = Objective(name="val_acc", mode="max")
STUCK = [0.5] * 8
GOOD = [0.5, 0.8, 0.97, 0.99, 0.99]
RISING = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def read(make_trace, curve=STUCK, **labels):
    signals = {("train", "t.py:4", f"label.{name}"): values for name, values in labels.items()}
    trace = make_trace(signals, {"val_acc": curve})
    return list(LabelsOutOfRange().read(trace, ACCURACY))


def test_labels_that_are_no_probabilities(make_trace) -> None:
    labels = {"outside": [0.5] * 5, "lowest": [1.0] * 5, "highest": [2.0] * 5}
    (symptom,) = read(make_trace, **labels)
    assert symptom.severity == 0.9 and symptom.source == "t.py:4"
    assert "from 1 to 2" in symptom.message
    (symptom,) = read(make_trace, GOOD, **labels)
    assert symptom.severity == 0.3
    assert not read(make_trace, outside=[0.0] * 5)
    assert not read(make_trace, outside=[0.5, 0.0, 0.0, 0.5, 0.0])


@pytest.mark.parametrize(("highest", "hint"), [(9.0, "blank=10"), (10.0, "one more output")])
def test_labels_that_are_the_blank(make_trace, highest, hint) -> None:
    labels = {"lowest": [0.0] * 5, "highest": [highest] * 5, "classes": [11.0] * 5}
    (symptom,) = read(make_trace, blank=[0.1] * 5, **labels)
    assert symptom.severity == 0.9 and symptom.source == "t.py:4"
    assert "10.0% of the labels" in symptom.message and hint in symptom.message
    (symptom,) = read(make_trace, GOOD, blank=[0.1] * 5, **labels)
    assert symptom.severity == 0.3
    assert not read(make_trace, blank=[0.0] * 5, **labels)


def test_labels_that_are_ignored(make_trace) -> None:
    (symptom,) = read(make_trace, ignored=[0.85] * 5)
    assert symptom.alarming and "85%" in symptom.message
    (symptom,) = read(make_trace, RISING, ignored=[0.85] * 5)
    assert symptom.severity == 0.3, "a masked language model"
    assert not read(make_trace, ignored=[0.2] * 5)


def one_class(**changed):
    usual = {"ignored": 0.0, "count": 32.0, "lowest": 1.0, "highest": 1.0, "classes": 4.0}
    return {name: [value] * 5 for name, value in {**usual, **changed}.items()}


def test_labels_of_one_class(make_trace) -> None:
    (symptom,) = read(make_trace, **one_class())
    assert symptom.alarming and "one class, 1" in symptom.message
    assert not read(make_trace, RISING, **one_class()), "a contrastive loss"
    assert not read(make_trace, **one_class(highest=3.0))
    assert not read(make_trace, **one_class(count=8.0)), "by chance"
    assert not read(make_trace, **one_class(classes=1.0))


@pytest.mark.parametrize(("target", "hint"), [(5, "from 0"), (-1, "check the labels")])
def test_a_label_that_broke_the_run_off(target, hint) -> None:
    ending = {
        "event": "ending",
        "status": "raised",
        "message": f"IndexError: Target {target} is out of bounds.",
        "source": "t.py:4",
    }
    rows = [["t.py:4", "label.classes", 5.0]]
    known = {"event": "signals", "step": 0, "phase": "train", "rows": rows}
    (symptom,) = LabelsOutOfRange().read(Trace.of([known, ending]))
    assert symptom.alarming and (symptom.where, symptom.source) == ("t.py:4", "t.py:4")
    assert f"label {target} at t.py:4" in symptom.message and "5 scores" in symptom.message
    assert hint in symptom.message
    (symptom,) = LabelsOutOfRange().read(Trace.of([ending]))
    assert "no output" in symptom.message
    other = {**ending, "message": "IndexError: list index out of range"}
    assert not list(LabelsOutOfRange().read(Trace.of([other])))
