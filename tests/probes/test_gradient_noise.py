from __future__ import annotations

import pytest

from probes.gradient_noise import GradientNoise
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")
BOUNCING = [0.4, 0.6, 0.45, 0.5]
NOISY = {"steadiness": 0.01, "momentum": 0.9}


def promising(loss: float) -> list[tuple[str, str, float]]:
    """Steps that promise so much, before what momentum adds to them."""
    return [("loss", "loss.promised", loss)]


def test_steps_that_promise_more_loss_than_there_is(optimize) -> None:
    trace = optimize([2.0, 1.5], BOUNCING, rows=promising(0.3), **NOISY)
    (symptom,) = GradientNoise().read(trace, ACCURACY)
    assert (symptom.where, symptom.source) == ("SGD", "train.py:9")
    assert symptom.evidence["cost"] == pytest.approx(0.3 / (1 - 0.9) / 4 / 2.0)
    assert symptom.severity == pytest.approx(0.5 + 0.4 * symptom.evidence["cost"])


def test_losses_of_several_backward_passes_are_one(optimize) -> None:
    rows = [*promising(0.3), ("optimizer", "cycle.backwards", 8.0)]
    trace = optimize([2.0 / 8, 1.5 / 8], BOUNCING, rows=rows, **NOISY)
    (symptom,) = GradientNoise().read(trace, ACCURACY)
    assert symptom.evidence["cost"] == pytest.approx(0.3 / (1 - 0.9) / 4 / 2.0)


@pytest.mark.parametrize(
    ("losses", "metric", "options"),
    [
        ([2.0, 1.5], BOUNCING, {"rows": promising(0.03)}),
        ([2.0, 1.5], BOUNCING, {"rows": promising(0.3), "momentum": 0.0}),
        ([2.0, 1.5], BOUNCING, {"rows": promising(0.3), "steadiness": 0.4}),
        ([2.0, 1.5], BOUNCING, {"rows": promising(0.3), "steadiness": -0.8}),
        ([2.0, 1.5], [0.4, 0.6, 0.7, 0.9], {"rows": promising(0.3)}),
        ([9.0, 9.0, 0.1, 0.1], BOUNCING, {"rows": promising(0.01)}),
        ([2.0, 1.5], BOUNCING, {}),
    ],
    ids=["little", "no momentum", "signal", "back and forth", "it learns", "small loss", "unknown"],
)
def test_nothing_is_found(optimize, losses, metric, options) -> None:
    trace = optimize(losses, metric, **{**NOISY, **options})
    assert not list(GradientNoise().read(trace, ACCURACY))
