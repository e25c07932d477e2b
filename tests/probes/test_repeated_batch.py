from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.repeated_batch import RepeatedBatch

ACCURACY = Objective(name="val_acc", mode="max")
PLACE = "train.py:1|train.py:7|train.py:7"


def read(make_trace, repeated=1.0, same=0.0, available=30.0, metric=0.6, unknown=None):
    signals = {
        ("train", PLACE, "batch.repeated"): [repeated] * 10,
        ("train", PLACE, "batch.same_object"): [same] * 10,
        ("train", PLACE, "batch.available"): [available] * 10,
    }
    if unknown is not None:
        signals["train", "train.py:1", "target.unexplained"] = [unknown[0]] * 10
        signals["eval", "train.py:2", "target.unexplained"] = [unknown[1]] * 10
    trace = make_trace(signals, {"val_acc": [metric] * 6}, terms=("loss",))
    return list(RepeatedBatch().read(trace, None if unknown else ACCURACY))


def test_one_batch_of_many(make_trace) -> None:
    (symptom,) = read(make_trace)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("loss", "train.py:7")


@pytest.mark.parametrize(
    ("unknown", "alarming"), [((0.01, 0.8), True), ((0.3, 0.35), False), ((0.01, 0.05), False)]
)
def test_harm_without_a_bounded_metric(make_trace, unknown, alarming) -> None:
    (symptom,) = read(make_trace, unknown=unknown)
    assert symptom.alarming is alarming


def test_one_batch_that_is_enough_is_no_alarm(make_trace) -> None:
    (symptom,) = read(make_trace, metric=0.97)
    assert not symptom.alarming


@pytest.mark.parametrize("case", [{"repeated": 0.5}, {"same": 1.0}, {"available": 1.2}])
def test_all_of_the_data_at_once(make_trace, case) -> None:
    assert not read(make_trace, **case)
