from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.overfitting import Overfitting

ERROR = Objective(name="val_mse", mode="min")
ACCURACY = Objective(name="val_acc", mode="max")
BY_HEART = [1.0, 0.5, 0.3, 0.1, 0.02, 0.01]
RISES = [1.0, 0.5, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_an_error_that_rises_from_its_best_while_the_training_loss_falls(optimize) -> None:
    (symptom,) = Overfitting().read(optimize(BY_HEART, RISES, name="val_mse"), ERROR)
    assert symptom.alarming
    assert (symptom.where, symptom.source, symptom.step) == ("", "train.py:3", 37)
    assert symptom.evidence["best_step"] == 37


def test_an_accuracy_that_falls(optimize) -> None:
    falls = [0.5, 0.7, 0.8, 0.7, 0.6, 0.6, 0.55, 0.5]
    assert list(Overfitting().read(optimize(BY_HEART, falls), ACCURACY))
    falls_a_little = [0.5, 0.7, 0.8, 0.76, 0.75, 0.74, 0.73, 0.72]
    assert not list(Overfitting().read(optimize(BY_HEART, falls_a_little), ACCURACY))


@pytest.mark.parametrize(
    ("losses", "metric", "name"),
    [
        ([1.0, 0.5, 0.45, 0.4, 0.38, 0.37], RISES, "val_mse"),
        (BY_HEART, [1.0, 0.5, 0.4, 0.42, 0.45, 0.5, 0.52, 0.55], "val_mse"),
        (BY_HEART, RISES, "train_mse"),
        (BY_HEART, RISES[:6], "val_mse"),
        (BY_HEART, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.9], "val_mse"),
    ],
    ids=["not by heart", "a little", "not held out", "few reports", "the last one only"],
)
def test_nothing_is_found(optimize, losses, metric, name) -> None:
    objective = Objective(name=name, mode="min")
    assert not list(Overfitting().read(optimize(losses, metric, name=name), objective))


def test_a_model_that_is_another_one_in_evaluation_is_left_to_p101(optimize, monkeypatch) -> None:
    trace = optimize(BY_HEART, RISES, name="val_mse")
    (found,) = Overfitting().read(trace, ERROR)
    other = "probes.train_eval_divergence.TrainEvalDivergence.read"
    monkeypatch.setattr(other, lambda *_: [found])
    assert not list(Overfitting().read(trace, ERROR))
