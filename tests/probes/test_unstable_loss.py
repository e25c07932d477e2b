from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.unstable_loss import UnstableLoss

ACCURACY = Objective(name="val_acc", mode="max")
ERROR = Objective(name="val_mse", mode="min")
STUCK = [0.2] * 8
KICKED = [1.0, 30.0, 3.0, *[1.1] * 17]
BACK = [1.0, 0.2, 0.1, 0.1, 0.1, 0.5, 0.8, 0.9]


def test_a_first_step_of_the_length_of_the_weights(optimize) -> None:
    trace = optimize([1.0, 1.1, 1.0], STUCK, ratio=1.5, kind="Adam", beta2=0.999)
    (symptom,) = UnstableLoss().read(trace, ACCURACY)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("Adam", "train.py:9")


def test_momentum_counts_for_plain_descent_only(optimize) -> None:
    def found(**settings: float) -> bool:
        trace = optimize([1.0, 1.1, 1.0], STUCK, ratio=0.04, **settings)
        return bool(list(UnstableLoss().read(trace, ACCURACY)))

    assert found(momentum=0.9)
    assert not found(momentum=0.5)
    assert not found(momentum=0.9, beta2=0.999)


def test_a_loss_that_leaps_up_and_comes_back_to_where_it_began(optimize) -> None:
    (symptom,) = UnstableLoss().read(optimize(KICKED, STUCK, ratio=0.02), ACCURACY)
    assert symptom.step == 5
    assert symptom.evidence["overshoot"] > 20


def test_a_loss_without_a_known_best_value_is_held_against_its_first(optimize) -> None:
    falling = [0.5, 0.45, 0.41, 0.4]
    trace = optimize(KICKED, falling, ratio=0.02, name="val_mse")
    assert list(UnstableLoss().read(trace, ERROR))
    trace = optimize([*KICKED[:10], *[0.3] * 10], falling, ratio=0.02, name="val_mse")
    assert not list(UnstableLoss().read(trace, ERROR))


def test_what_was_reached_is_lost_again(optimize) -> None:
    rise_and_fall = [0.2, 0.6, 0.8, 0.8, 0.8, 0.5, 0.3, 0.3]
    assert list(UnstableLoss().read(optimize(BACK, rise_and_fall, ratio=0.02), ACCURACY))
    assert not list(UnstableLoss().read(optimize(BACK, rise_and_fall, ratio=1e-3), ACCURACY))


@pytest.mark.parametrize(
    ("losses", "metric", "options"),
    [
        (KICKED, [0.3, 0.6, 0.9], {}),
        ([1.0, 0.5, 0.9, 0.4, 0.8, 0.3, 0.7, 0.2], [0.3, 0.5, 0.6, 0.7], {}),
        ([1.0] * 8, STUCK, {}),
        ([1.0, 30.0, 3.0, *[8.0] * 17], STUCK, {}),
        (KICKED, STUCK, {"momentum": 0.999}),
        ([*KICKED[:10], *[0.05] * 10], STUCK, {}),
    ],
    ids=["a catapult", "warm restarts", "short steps", "P302", "P307", "learned"],
)
def test_nothing_is_found(optimize, losses, metric, options) -> None:
    trace = optimize(losses, metric, ratio=0.02, **options)
    assert not list(UnstableLoss().read(trace, ACCURACY))
