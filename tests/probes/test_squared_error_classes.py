from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.squared_error_classes import SquaredErrorClasses

ACCURACY = Objective(name="val_acc", mode="max")
PLACE = "train.py:1|net.2|softmax|mse_loss"
NOWHERE = [0.1, 0.1, 0.11, 0.11, 0.12, 0.12, 0.13, 0.13]
CRAWLS = [0.1, 0.14, 0.18, 0.22, 0.26, 0.3, 0.34, 0.38]
NEARLY = [0.1, 0.3, 0.5, 0.6, 0.65, 0.7, 0.74, 0.78]


def read(make_trace, curve, kept=0.01, unexplained=0.8, classes=(1.0,) * 6):
    signals = {
        ("train", PLACE, "loss.class_targets"): classes,
        ("train", PLACE, "loss.gradient_kept"): [kept] * 6,
        ("train", "train.py:1", "target.unexplained"): [unexplained] * 6,
    }
    trace = make_trace(signals, {"val_acc": curve}, terms=("loss",))
    return list(SquaredErrorClasses().read(trace, ACCURACY))


@pytest.mark.parametrize("curve", [NOWHERE, CRAWLS, [0.3, 0.6, *[0.7] * 8]])
def test_classes_that_are_hardly_learned(make_trace, curve) -> None:
    (symptom,) = read(make_trace, curve)
    assert symptom.alarming and (symptom.where, symptom.source) == ("loss", "train.py:1")


@pytest.mark.parametrize(
    ("curve", "changed"),
    [
        (NOWHERE, {"kept": 0.5}),
        (NEARLY, {}),
        (CRAWLS, {"unexplained": 0.3}),
        ([0.9] * 8, {}),
    ],
    ids=["a fair gradient", "nearly there", "much is known", "good at once"],
)
def test_a_proper_score_is_only_an_observation(make_trace, curve, changed) -> None:
    (symptom,) = read(make_trace, curve, **changed)
    assert symptom.severity == 0.3


@pytest.mark.parametrize("classes", [(1.0, 0.0, 1.0, 0.0, 1.0, 1.0), (1.0, 1.0)])
def test_what_is_not_always_classes_is_not_reported(make_trace, classes) -> None:
    assert not read(make_trace, NOWHERE, classes=classes)
