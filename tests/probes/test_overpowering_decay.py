from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.overpowering_decay import OverpoweringDecay

ACCURACY = Objective(name="val_acc", mode="max")
STUCK = [0.2, 0.2, 0.21, 0.2]
FLAT = [1.0, 0.99, 0.98]
SHRINKS = {"weights": (1.0, 0.1), "gradient": 0.3}


def test_weights_that_shrink_under_a_decay_that_outweighs_the_gradient(optimize) -> None:
    trace = optimize(FLAT, STUCK, weight_decay=1.0, **SHRINKS)
    (symptom,) = OverpoweringDecay().read(trace, ACCURACY)
    assert symptom.severity == pytest.approx(0.9)
    assert (symptom.where, symptom.source) == ("SGD", "train.py:9")


def test_a_decoupled_decay_is_held_against_the_update(optimize) -> None:
    def found(decay: float) -> bool:
        trace = optimize(
            FLAT, STUCK, ratio=0.02, kind="AdamW", weight_decay=decay, decoupled=1.0, **SHRINKS
        )
        return bool(list(OverpoweringDecay().read(trace, ACCURACY)))

    assert found(0.1)  # 0.1 * 0.1 of 0.02
    assert not found(0.01)


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ([0.2, 0.5, 0.9], {}),
        (STUCK, {"weights": (1.0, 0.9)}),
        (STUCK, {"weight_decay": 1e-3}),
        (STUCK, {"weight_decay": 0.0}),
    ],
    ids=["it learns", "they hold out", "the data are stronger", "none"],
)
def test_nothing_is_found(optimize, metric, options) -> None:
    trace = optimize(FLAT, metric, **{"weight_decay": 1.0, **SHRINKS, **options})
    assert not list(OverpoweringDecay().read(trace, ACCURACY))


@pytest.mark.parametrize(("held_out", "severity"), [(0.6, 0.3), (0.5, 0.9)])
def test_what_knows_its_own_samples_better_is_not_held_back(optimize, held_out, severity) -> None:
    trace = optimize(FLAT, STUCK, weight_decay=1.0, **SHRINKS)
    for phase, unexplained in (("train", 0.5), ("eval", held_out)):
        rows = [["train.py:30", "target.unexplained", unexplained]]
        for step in range(100):
            trace.feed({"event": "signals", "step": step, "phase": phase, "rows": rows})
    (symptom,) = OverpoweringDecay().read(trace, ACCURACY)
    assert symptom.severity == pytest.approx(severity)
