from __future__ import annotations

from pathlib import Path

import pytest

from probes.objective import Objective
from probes.prediction_collapse import PredictionCollapse

FOUND = Objective(name="val_recall", mode="max")
LOSS = Objective(name="val_loss", mode="min")


def classifier(entropy, hits=0.0, loss=1.0, labels=1.0, where="train.py:1") -> dict:
    entropies = entropy if isinstance(entropy, list) else [entropy] * 21
    return {
        ("train", where, "prediction.entropy"): entropies,
        ("train", where, "label.entropy"): [labels] * 21,
        ("train", where, "prediction.top_share"): [1.0 - value / 2 for value in entropies],
        ("train", where, "label.top_share"): [0.7] * 21,
        ("train", where, "prediction.minority_hits"): [hits] * 21,
        ("train", where, "prediction.loss"): [loss] * 21,
    }


def read(make_trace, signals, metric=None, objective=FOUND):
    metrics = {objective.name: metric} if metric else {}
    trace = make_trace(signals, metrics, terms=("loss",))
    return list(PredictionCollapse().read(trace, objective if metric else None))


def test_one_class_everywhere_and_a_metric_that_stands_still(make_trace) -> None:
    signals = classifier([0.8] * 5 + [0.0] * 16)
    (symptom,) = read(make_trace, signals, [0.0] * 8)
    assert symptom.severity == 1.0
    assert (symptom.where, symptom.source) == ("loss", "train.py:1")
    assert symptom.step == 25
    assert symptom.evidence["label_entropy"] == 1.0
    assert "commonest one has 70.0% of the labels" in symptom.message


def test_a_few_other_predictions_are_a_milder_case(make_trace) -> None:
    (symptom,) = read(make_trace, classifier(0.1), [0.0] * 8)
    assert symptom.severity == pytest.approx(0.75)


def test_without_an_accuracy_the_loss_tells_what_is_known(make_trace) -> None:
    falling = [3.0 - 0.1 * place for place in range(20)]
    (symptom,) = read(make_trace, classifier(0.0, loss=0.99), falling, LOSS)
    assert symptom.alarming
    (symptom,) = read(make_trace, classifier(0.0, loss=0.6), falling, LOSS)
    assert not symptom.alarming
    (symptom,) = read(make_trace, classifier(0.0, loss=0.99))
    assert symptom.alarming


@pytest.mark.parametrize(
    "metric", [[0.2, 0.5, 0.9], [0.99, 0.99, 0.99]], ids=["improves", "nothing to gain"]
)
def test_a_metric_that_is_fine_is_no_alarm(make_trace, metric) -> None:
    (symptom,) = read(make_trace, classifier(0.0), metric)
    assert symptom.severity == 0.3


@pytest.mark.parametrize(
    "signals",
    [
        classifier([0.0] * 9 + [0.9] * 12),
        classifier([0.0, 0.0, 0.4] * 7),
        classifier(0.0, labels=0.01),
        classifier(0.05, hits=0.6, labels=0.3),
        classifier(0.5),
    ],
    ids=["it recovers", "it comes and goes", "constant labels", "rare ones are found", "spread"],
)
def test_nothing_is_found(make_trace, signals) -> None:
    assert not read(make_trace, signals, [0.0] * 8)


SECOND = Path(__file__).parents[1] / "sick" / "background_collapse.py"


@pytest.mark.slow
def test_a_segmenter_that_marks_nothing(run_script) -> None:
    trace = run_script(SECOND, "--rounds", "6")
    (symptom,) = PredictionCollapse().read(trace, Objective.infer(trace))
    assert symptom.severity > 0.9
    assert symptom.where == "bce"
    line = int((symptom.source or "").split(":")[1])
    assert "criterion(" in SECOND.read_text().splitlines()[line - 1]
