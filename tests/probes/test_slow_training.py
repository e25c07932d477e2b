from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.slow_training import SlowTraining

ACCURACY = Objective(name="val_acc", mode="max")
ERROR = Objective(name="val_mse", mode="min")
STUCK = [0.2, 0.2, 0.21, 0.2]
FLAT = [1.0, 0.99, 0.98]


def test_weights_that_stay_where_they_began(optimize) -> None:
    (symptom,) = SlowTraining().read(optimize(FLAT, STUCK, ratio=1e-5), ACCURACY)
    assert (symptom.where, symptom.source) == ("SGD", "train.py:9")
    assert symptom.severity == pytest.approx(1.0, abs=0.01)
    assert symptom.evidence["missing"] == pytest.approx(3000, rel=0.01)


def test_without_a_known_best_value_the_training_loss_decides(optimize) -> None:
    trace = optimize(FLAT, [1.0, 0.99, 0.98], ratio=1e-5, name="val_mse")
    assert list(SlowTraining().read(trace, ERROR))
    trace = optimize([1.0, 0.6, 0.4], [1.0, 0.6, 0.4], ratio=1e-5, name="val_mse")
    assert not list(SlowTraining().read(trace, ERROR))


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        (STUCK, {"ratio": 2e-3}),
        (STUCK, {"steadiness": 0.02, "ratio": 5e-4}),
        ([0.2, 0.4, 0.7, 0.9], {}),
        ([0.9, 0.9, 0.9], {}),
        (STUCK, {"beta2": 0.999, "eps": 1.0}),
        (STUCK, {"rows": [("train.py:20", "clip.norm", 2.0), ("train.py:20", "clip.limit", 1e-3)]}),
    ],
    ids=["they move", "noise", "it learns", "nothing to gain", "P307", "P306"],
)
def test_nothing_is_found(optimize, metric, options) -> None:
    trace = optimize(FLAT, metric, **{"ratio": 1e-5, **options})
    assert not list(SlowTraining().read(trace, ACCURACY))


def test_weights_that_were_never_moved_tell_of_themselves(optimize) -> None:
    for loss, found in ((1.0, True), (0.5, False)):
        rows = [("train.py:20", "prediction.loss", loss), ("train.py:20", "label.entropy", 1.0)]
        trace = optimize(FLAT, STUCK, ratio=1e-5, steadiness=0.02, rows=rows)
        assert bool(list(SlowTraining().read(trace, ACCURACY))) is found


def test_a_mild_clipping_is_not_to_blame(optimize) -> None:
    rows = [("train.py:20", "clip.norm", 2.0), ("train.py:20", "clip.limit", 1.0)]
    assert list(SlowTraining().read(optimize(FLAT, STUCK, ratio=1e-5, rows=rows), ACCURACY))


def test_without_gradients_no_rate_is_to_blame(optimize) -> None:
    rows = [("train.py:20", "prediction.loss", 1.0), ("train.py:20", "label.entropy", 1.0)]
    options = {"ratio": 0.0, "steadiness": 0.02, "rows": rows}
    assert list(SlowTraining().read(optimize(FLAT, STUCK, **options), ACCURACY))
    assert not list(SlowTraining().read(optimize(FLAT, STUCK, gradient=0.0, **options), ACCURACY))
