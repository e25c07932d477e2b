from __future__ import annotations

import pytest

from probes import Objective
from probes.cut_recurrence import CutRecurrence

CELL = {"where": "cell", "type": "GRUCell", "source": "train.py:3", "parent": "Net"}
NET = {"where": "Net", "type": "Net", "source": "train.py:9", "parent": None}


def read(make_trace, rounds=(9.0,) * 4, metrics=None, known=None, place="cell@train.py:12"):
    signals = {("train", place, "recurrence.rounds"): list(rounds)}
    if known is not None:
        signals["train", "train.py:7", "target.unexplained"] = [1.0, known, known, known]
    trace = make_trace(signals, metrics, modules=(NET, CELL))
    return list(CutRecurrence().read(trace, Objective.infer(trace) if metrics else None))


@pytest.mark.parametrize(
    ("metrics", "known", "severity"),
    [
        ({"val_acc": [0.1, 0.2, 0.3]}, None, 0.7),
        ({"val_acc": [0.1, 0.6, 0.79]}, None, 0.7),
        ({"val_acc": [0.1, 0.6, 0.9]}, None, 0.3),
        ({"val_acc": [0.1, 0.6, 0.9]}, 0.9, 0.3),
        ({"val_mse": [1.0, 0.9, 0.9]}, 0.6, 0.7),
        ({"val_mse": [1.0, 0.9, 0.9]}, 0.2, 0.3),
        ({"val_mse": [1.0, 0.9, 0.9]}, None, 0.3),
        (None, 0.6, 0.7),
    ],
)
def test_it_is_a_fault_where_much_is_left_to_learn(make_trace, metrics, known, severity) -> None:
    (symptom,) = read(make_trace, metrics=metrics, known=known)
    assert symptom.severity == severity
    assert (symptom.where, symptom.source) == ("cell", "train.py:12")
    assert "9 times on its way through cell" in symptom.message


def test_several_modules_are_the_model(make_trace) -> None:
    (symptom,) = read(make_trace, place="@train.py:12")
    assert symptom.where == "Net"
    assert "through the model" in symptom.message


@pytest.mark.parametrize("rounds", [(), (9.0, 9.0)])
def test_it_has_to_be_seen_in_three_steps(make_trace, rounds) -> None:
    assert not read(make_trace, rounds)
