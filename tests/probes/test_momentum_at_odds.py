from __future__ import annotations

import pytest

from probes.momentum_at_odds import MomentumAtOdds
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")
STUCK = [0.2, 0.2, 0.21, 0.2]
FLAT = [1.0, 0.99, 0.98]
ADAM = {"kind": "Adam", "momentum": 0.9, "beta2": 0.999, "eps": 1e-8}


@pytest.mark.parametrize(
    "settings",
    [{"momentum": 0.999}, {**ADAM, "eps": 1.0}, {**ADAM, "beta2": 0.5}, {**ADAM, "momentum": 0.99}],
    ids=["momentum", "eps", "beta2", "beta1"],
)
def test_odd_settings_alarm_where_they_do_harm(optimize, settings) -> None:
    (symptom,) = MomentumAtOdds().read(optimize(FLAT, STUCK, **settings), ACCURACY)
    assert symptom.alarming and symptom.source == "train.py:9"
    (symptom,) = MomentumAtOdds().read(optimize(FLAT, [0.2, 0.6, 0.9], **settings), ACCURACY)
    assert symptom.severity == 0.3


def test_what_is_lost_again_is_harm(optimize) -> None:
    trace = optimize([1.0, 0.2, 0.3], [0.3, 0.8, 0.8, 0.4, 0.4], momentum=0.999)
    (symptom,) = MomentumAtOdds().read(trace, ACCURACY)
    assert symptom.alarming


@pytest.mark.parametrize(
    "settings",
    [{"momentum": 0.95}, ADAM, {"kind": "RMSprop", "beta2": 0.5, "eps": 1e-8}],
    ids=["SGD", "Adam", "the average of RMSprop"],
)
def test_usual_settings_are_none(optimize, settings) -> None:
    assert not list(MomentumAtOdds().read(optimize(FLAT, STUCK, **settings), ACCURACY))
