from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.sorted_batches import SortedBatches

ACCURACY = Objective(name="val_acc", mode="max")
ERROR = Objective(name="val_loss", mode="min")
KEY = "train.py:9|train.py:4"


def read(make_trace, levels, spread=0.0, kinds=1.0, metric=0.4, points=10, unknown=None, missed=()):
    course = [level for _, level in zip(range(points), levels * points, strict=False)]
    signals = {
        ("train", KEY, "order.level"): course,
        ("train", KEY, "order.spread"): [spread] * points,
        ("train", KEY, "order.rows"): [16.0] * points,
        ("train", KEY, "order.kinds"): [kinds] * points,
    }
    if unknown is not None:
        signals["eval", "train.py:12", "target.unexplained"] = [unknown] * 10
    for phase, where, error in zip(
        ("train", "eval"), ("train.py:9", "train.py:12"), missed, strict=False
    ):
        signals[phase, where, "target.unexplained"] = [4 * error] * points
        signals[phase, where, "target.std"] = [0.5] * points
    trace = make_trace(signals, {"val_acc": [metric] * 6}, terms=("loss",))
    return list(SortedBatches().read(trace, ERROR if unknown is not None else ACCURACY))


def test_batches_of_one_class_after_another(make_trace) -> None:
    (symptom,) = read(make_trace, [0.0, 1.0, 2.0, 3.0])
    assert symptom.alarming and symptom.source == "train.py:4"
    assert symptom.evidence["between_batches"] == 1.0


def test_what_shuffled_batches_differ_by_is_chance(make_trace) -> None:
    assert not read(make_trace, [1.2, 1.7, 1.4, 1.6], spread=1.25, kinds=4.0)


@pytest.mark.parametrize(
    "case",
    [{"levels": [2.0]}, {"levels": [0.0, 1.0], "points": 7}, {"levels": [0, 1], "spread": 2}],
)
def test_what_says_nothing_is_left_alone(make_trace, case) -> None:
    assert not read(make_trace, **case)


@pytest.mark.parametrize(
    ("kinds", "metric", "alarming"),
    [(1.0, 0.7, True), (1.0, 0.9, False), (8.0, 0.7, True), (16.0, 0.4, False)],
)
def test_it_is_an_alarm_where_it_harms(make_trace, kinds, metric, alarming) -> None:
    (symptom,) = read(make_trace, [0.0, 1.0, 2.0, 3.0], kinds=kinds, metric=metric)
    assert symptom.alarming is alarming


@pytest.mark.parametrize(("unknown", "alarming"), [(0.8, True), (0.2, False)])
def test_harm_without_a_bounded_metric(make_trace, unknown, alarming) -> None:
    (symptom,) = read(make_trace, [0.0, 1.0, 2.0, 3.0], unknown=unknown)
    assert symptom.alarming is alarming


@pytest.mark.parametrize(
    ("missed", "metric", "alarming"),
    [((0.1, 0.9), 0.4, True), ((0.1, 0.2), 0.4, False), ((0.1, 0.9), 0.9, False), ((), 0.4, False)],
)
def test_other_targets_have_to_be_lost_again(make_trace, missed, metric, alarming) -> None:
    levels = [0.0, 1.0, 2.0, 3.0]
    (symptom,) = read(make_trace, levels, kinds=16.0, metric=metric, missed=missed)
    assert symptom.alarming is alarming
