from __future__ import annotations

import pytest

from probes.diverging_loss import DivergingLoss
from probes.objective import Objective
from probes.series import Series

ACCURACY = Objective(name="val_acc", mode="max")
RISING = [1.0, 5.0, 20.0, 30.0, 40.0]
STUCK = [0.2] * 6


def test_a_loss_that_ends_far_above_its_first_value(optimize) -> None:
    (symptom,) = DivergingLoss().read(optimize(RISING, STUCK, ratio=0.5), ACCURACY)
    assert symptom.severity > 0.8
    assert (symptom.where, symptom.source, symptom.step) == ("SGD", "train.py:9", 20)
    assert symptom.evidence["leap"] == pytest.approx(0.5)


def test_without_a_metric_the_loss_decides(optimize) -> None:
    assert list(DivergingLoss().read(optimize(RISING, ratio=0.5), None))


@pytest.mark.parametrize(
    ("losses", "metric", "options"),
    [
        (RISING, [0.2, 0.5, 0.9], {}),
        ([1.0, 5.0, 20.0, 5.0, 0.5], STUCK, {}),
        ([1.0, 1.1, 1.2, 1.5, 1.8], STUCK, {}),
        ([-1.0, 5.0, 20.0, 30.0, 40.0], STUCK, {}),
        (RISING, STUCK, {"ratio": 1e-3}),
        (RISING, STUCK, {"momentum": 0.999}),
    ],
    ids=["it learns", "it recovers", "a little", "below zero", "short steps", "P307"],
)
def test_nothing_is_found(optimize, losses, metric, options) -> None:
    trace = optimize(losses, metric, **{"ratio": 0.5, **options})
    assert not list(DivergingLoss().read(trace, ACCURACY))


def test_adversaries_have_several_losses_in_a_step(optimize) -> None:
    rows = [("loss", "loss.value", 50.0)]
    assert not list(DivergingLoss().read(optimize(RISING, STUCK, ratio=0.5, rows=rows), ACCURACY))


def test_a_loss_of_which_a_term_was_rescaled_says_nothing(optimize) -> None:
    trace = optimize(RISING, STUCK, ratio=0.5)
    trace.feed({"event": "term", "where": "penalty"})
    trace.feed({"event": "applied", "remedy": "R202", "target": "penalty", "detail": "", "step": 0})
    assert not list(DivergingLoss().read(trace, ACCURACY))


def test_the_loss_of_one_model_is_not_held_against_that_of_another(optimize) -> None:
    trace = optimize([1.0, 0.5, 20.0, 20.0, 18.0], STUCK, ratio=0.5)
    assert list(DivergingLoss().read(trace, ACCURACY))
    kinds = [float(step >= 40) for step in range(100)]
    trace.signals["train", "loss", "loss.kind"] = Series(list(range(100)), kinds)
    assert not list(DivergingLoss().read(trace, ACCURACY))


def test_the_loss_of_one_sample_is_no_beginning(optimize) -> None:
    losses = [0.1, *[2.0, 0.5, 1.0, 3.0] * 24, 2.0, 0.5, 1.0]
    usual = optimize(losses, STUCK, ratio=0.1)
    assert list(DivergingLoss().read(usual, ACCURACY))
    single = optimize(losses, STUCK, ratio=0.1, rows=[("loss", "loss.elements", 1.0)])
    assert not list(DivergingLoss().read(single, ACCURACY))
