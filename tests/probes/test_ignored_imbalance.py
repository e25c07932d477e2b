from __future__ import annotations

import pytest

from probes.ignored_imbalance import IgnoredImbalance
from probes.objective import Objective

F1 = Objective(name="val_f1", mode="max")
STUCK = [0.1, 0.2, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25]


def read(make_trace, hits=0.15, share=0.85, said=0.95, loss=0.3, curve=STUCK):
    values = {
        "label.top_share": share,
        "label.entropy": 0.42,
        "prediction.top_share": said,
        "prediction.loss": loss,
        "prediction.minority_hits": hits,
    }
    signals = {("train", "train.py:1", name): [value] * 20 for name, value in values.items()}
    trace = make_trace(signals, {"val_f1": curve}, terms=("loss",))
    return list(IgnoredImbalance().read(trace, F1))


def test_rare_classes_are_missed_and_the_metric_counts_them(make_trace) -> None:
    (symptom,) = read(make_trace)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("loss", "train.py:1")
    assert "15% are found" in symptom.message


@pytest.mark.parametrize(
    "case",
    [{"curve": [0.5, 0.8, 0.85, 0.86] * 2}, {"loss": 0.41}, {"curve": [0.9] * 8}],
    ids=["as good as guessing", "nothing is known of the classes", "a good metric"],
)
def test_no_alarm(make_trace, case) -> None:
    (symptom,) = read(make_trace, **case)
    assert not symptom.alarming


@pytest.mark.parametrize("case", [{"hits": 0.5}, {"share": 0.4, "said": 0.5}, {"said": 0.8}])
def test_nothing_is_found(make_trace, case) -> None:
    assert not read(make_trace, **case)


CREEPS = [0.5, 0.5, 0.51, 0.52, 0.54, 0.56, 0.58, 0.6]


def creep(make_trace, recall=(0.5, 0.6), fair=(0.75, 0.8), name="val_bacc", curve=CREEPS):
    half = [[first] * 15 + [last] * 5 for first, last in (recall, fair)]
    signals = {
        ("train", "train.py:1", "prediction.minority_hits"): [0.4] * 20,
        ("train", "train.py:1", "label.top_share"): [0.9] * 20,
        ("train", "train.py:1", "prediction.top_share"): [0.95] * 20,
        ("train", "train.py:1", "prediction.hits"): [0.95] * 20,
        ("train", "train.py:1", "prediction.recall"): half[0],
        ("train", "train.py:1", "prediction.fair_recall"): half[1],
    }
    trace = make_trace(signals, {name: curve}, terms=("loss",))
    return list(IgnoredImbalance().read(trace, Objective(name=name, mode="max")))


def test_scores_that_know_more_than_the_decisions_alarm_though_the_metric_creeps(
    make_trace,
) -> None:
    (symptom,) = creep(make_trace)
    assert symptom.alarming and "if none counted more" in symptom.message


@pytest.mark.parametrize(
    "case",
    [
        {"name": "val_acc", "curve": [0.9, 0.94, 0.95] * 3},
        {"name": "val_auc"},
        {"name": "val_psnr"},
    ],
    ids=["a plain accuracy", "a ranking", "no known best"],
)
def test_a_metric_that_does_not_count_rare_classes_is_no_harm(make_trace, case) -> None:
    (symptom,) = creep(make_trace, **case)
    assert not symptom.alarming


@pytest.mark.parametrize(
    "case",
    [{"fair": (0.6, 0.65)}, {"fair": (0.8, 0.7)}, {"recall": (0.7, 0.78), "fair": (0.6, 0.6)}],
    ids=["little to gain", "on its way", "weighed already"],
)
def test_decisions_as_good_as_the_scores_are_fine(make_trace, case) -> None:
    assert not creep(make_trace, **case)


def weighed(make_trace, weights, shares, curve):
    signals = {
        ("train", "train.py:1", f"label.{name}.{number}"): [value] * 20
        for name, values in (("weight", weights), ("share", shares))
        for number, value in enumerate(values)
    }
    trace = make_trace(signals, {"val_f1": curve}, terms=("loss",))
    return list(IgnoredImbalance().read(trace, F1))


@pytest.mark.parametrize(("curve", "alarming"), [([0.5] * 6, True), ([0.9] * 6, False)])
def test_weights_that_are_upside_down(make_trace, curve, alarming) -> None:
    (symptom,) = weighed(make_trace, [3.2, 0.9, 0.4], [0.7, 0.2, 0.1], curve)
    assert symptom.alarming is alarming
    assert (symptom.where, symptom.source) == ("loss", "train.py:1")
    assert "3.2 for the commonest one, with 70% of the labels" in symptom.message


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ([0.4, 0.9, 3.2], [0.7, 0.2, 0.1]),
        ([1.0, 1.0, 1.0], [0.7, 0.2, 0.1]),
        ([1.0, 2.5, 1.0], [0.35, 0.4, 0.25]),
        ([1.0, 0.9], [0.7, 0.2, 0.1]),
    ],
)
def test_other_weights_are_left_alone(make_trace, weights, shares) -> None:
    assert not weighed(make_trace, weights, shares, [0.5] * 6)
