from __future__ import annotations

import pytest

from probes.aliased_state import AliasedState
from probes.objective import Objective

PLACE = "Net@train.py:7@train.py:9"
FALLS_BACK = [0.2, 0.6, 0.9, 0.7, 0.6]
RISES = [0.2, 0.6, 0.7, 0.8, 0.81]


def read(make_trace, loads, curve, shared=1.0, name="val_acc", place=PLACE):
    signals = {
        ("train", place, "state.idle"): loads,
        ("train", place, "state.shared"): [shared] * len(loads),
        ("train", place, "state.age"): [40.0] * len(loads),
    }
    metric = Objective(name=name, mode="max" if name == "val_acc" else "min")
    return list(AliasedState().read(make_trace(signals, {name: curve}), metric))


def test_the_best_weights_were_better_than_those_at_the_end(make_trace) -> None:
    (symptom,) = read(make_trace, [1.0, 1.0], FALLS_BACK)
    assert symptom.severity == 0.7
    assert (symptom.where, symptom.source) == ("Net", "train.py:7")
    assert "train.py:7" in symptom.message and "train.py:9" in symptom.message
    assert symptom.evidence["lost"] == pytest.approx(0.3 / 0.7)


def test_the_end_is_as_good_as_the_best(make_trace) -> None:
    (symptom,) = read(make_trace, [1.0, 1.0], RISES)
    assert symptom.severity == 0.3


def test_a_metric_that_was_better_after_the_load_says_nothing_of_it(make_trace) -> None:
    (symptom,) = read(make_trace, [1.0], FALLS_BACK)  # Loaded at the very start.
    assert symptom.severity == 0.3


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_loads_again_and_again_where_much_is_left(make_trace, shared) -> None:
    (symptom,) = read(make_trace, [1.0] * 3, [0.2, 0.3, 0.35, 0.4], shared)
    assert symptom.severity == 0.7
    assert "again and again" in symptom.message


def test_loads_again_and_again_in_a_run_that_nearly_reached_the_best(make_trace) -> None:
    (symptom,) = read(make_trace, [1.0] * 3, [0.2, 0.8, 0.9, 0.95])
    assert symptom.severity == 0.3


@pytest.mark.parametrize(
    ("loads", "shared"), [([1.0, 1.0], 0.0), ([1.0, 0.0, 1.0, 1.0], 0.0), ([0.0], 1.0)]
)
def test_values_that_were_computed_have_to_change_nothing_every_time(
    make_trace, loads, shared
) -> None:
    assert not read(make_trace, loads, FALLS_BACK, shared)


def test_the_loss_of_single_batches_is_no_metric_to_fall_back(make_trace) -> None:
    signals = {
        ("train", PLACE, name): [value, value]
        for name, value in (("state.idle", 1.0), ("state.shared", 1.0), ("state.age", 9.0))
    } | {("train", "loss", "loss.value"): [3.0, 0.5, 1.5]}
    metric = Objective(name="loss", mode="min", source="backward")
    (symptom,) = AliasedState().read(make_trace(signals), metric)
    assert symptom.severity == 0.3
