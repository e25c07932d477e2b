from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.objective_metric_decoupling import ObjectiveMetricDecoupling

ACCURACY = Objective(name="val_acc", mode="max")
STILL = [0.21, 0.22, 0.20, 0.22, 0.21, 0.23]


def line(start: float, end: float) -> list[float]:
    return [start + (end - start) * place / 20 for place in range(21)]


def read(make_trace, metric=STILL, restoring=(40, 20), naming=(1.6, 1.6), held_out=(45, 22)):
    parts = {"restoring": line(*restoring), "naming": line(*naming)}
    signals = {("train", "loss", "loss.value"): [sum(v) for v in zip(*parts.values(), strict=True)]}
    for where, curve in parts.items():
        signals["train", where, "term.value"] = curve
        signals["train", where, "term.contribution"] = curve
    metrics = {"val_acc": metric} | ({"val_loss": line(*held_out)} if held_out else {})
    trace = make_trace(signals, metrics, terms=tuple(parts))
    return list(ObjectiveMetricDecoupling().read(trace, ACCURACY))


def test_the_term_that_the_loss_followed_is_named_and_the_one_that_it_left(make_trace) -> None:
    (symptom,) = read(make_trace)
    assert symptom.alarming
    assert symptom.where == "restoring" and symptom.source == "train.py:1"
    assert symptom.evidence["loss_fall"] == pytest.approx(0.41, abs=0.05)
    assert symptom.evidence["followed_share"] == 1.0
    assert "val_acc stayed at 0.21" in symptom.message and "naming is where" in symptom.message


@pytest.mark.parametrize(
    "other",
    [
        {"held_out": None},
        {"held_out": (45, 50)},
        {"naming": (1.6, 1.2)},
        {"restoring": (20, 19), "naming": (1.6, 3.6), "held_out": (45, 22)},
    ],
    ids=["no held-out loss", "learned by heart", "no term is left behind", "loss rises"],
)
def test_a_falling_loss_alone_is_no_alarm(make_trace, other) -> None:
    assert not any(symptom.alarming for symptom in read(make_trace, **other))


@pytest.mark.parametrize(
    "metric",
    [
        [0.2, 0.3, 0.4, 0.5, 0.55, 0.6],
        [0.2, 0.3, 0.4, 0.3, 0.2, 0.2],
        [0.7, 0.5, 0.3, 0.2, 0.2, 0.2],
        [0.95, 0.95, 0.96, 0.95, 0.95, 0.95],
        [0.21, 0.21, 0.22],
    ],
    ids=["improves", "rose and fell", "gets worse", "good as it is", "too few reports"],
)
def test_a_metric_that_moves_or_has_arrived_is_nothing(make_trace, metric) -> None:
    assert not read(make_trace, metric=metric)


def test_a_loss_that_stands_still_is_nothing(make_trace) -> None:
    assert not read(make_trace, restoring=(40, 39))


def test_a_metric_whose_best_value_is_not_known_is_left_out(make_trace) -> None:
    trace = make_trace({("train", "loss", "loss.value"): line(4, 1)}, {"val_mae": [2.0] * 6})
    probe = ObjectiveMetricDecoupling()
    assert not list(probe.read(trace, Objective(name="val_mae", mode="min")))


def test_a_loss_of_one_term_is_an_observation(make_trace) -> None:
    trace = make_trace(
        {("train", "loss", "loss.value"): line(4, 1)}, {"val_acc": STILL, "val_loss": line(4, 1)}
    )
    (symptom,) = ObjectiveMetricDecoupling().read(trace, ACCURACY)
    assert symptom.where == "loss" and symptom.severity == 0.3
