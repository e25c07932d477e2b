from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.unshifted_targets import UnshiftedTargets

ACCURACY = Objective(name="val_acc", mode="max")
FALLING, STUCK = [2.0, 0.5, 0.1, 0.05, 0.02, 0.01], [2.0, 1.9, 1.8, 1.7, 1.7, 1.6]


def read(make_trace, copied=1.0, shifted=0.1, losses=FALLING, metric=0.1, count=6):
    signals = {
        ("train", "train.py:9", "tokens.copied"): [copied] * count,
        ("train", "train.py:9", "tokens.shifted"): [shifted] * count,
        ("train", "loss", "loss.value"): losses,
    }
    trace = make_trace(signals, {"val_acc": [metric] * 6})
    return list(UnshiftedTargets().read(trace, ACCURACY))


def test_a_model_that_learns_to_copy(make_trace) -> None:
    (symptom,) = read(make_trace)
    assert symptom.alarming and symptom.source == "train.py:9"


@pytest.mark.parametrize("rest", [{"losses": STUCK}, {"metric": 0.95}])
def test_an_autoencoder_is_no_alarm(make_trace, rest) -> None:
    (symptom,) = read(make_trace, **rest)
    assert not symptom.alarming


@pytest.mark.parametrize("rest", [{"copied": 0.9}, {"shifted": 1.0}, {"count": 2}])
def test_other_labels_are_left_alone(make_trace, rest) -> None:
    assert not read(make_trace, **rest)
