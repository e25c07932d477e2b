from __future__ import annotations

import pytest

from probes.activated_logits import ActivatedLogits
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")
MODULES = [{"where": "net.2", "type": "Softmax", "source": "train.py:7", "parent": "net"}]


def read(make_trace, place, curve, values=(1.0,) * 6, metric=ACCURACY):
    signals = {("train", place, "loss.activated"): values}
    trace = make_trace(signals, {"val_acc": curve}, MODULES, terms=("loss",))
    return list(ActivatedLogits().read(trace, metric))


FAR = [0.1, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]
RISING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75]


def test_a_softmax_module_is_named_with_its_line(make_trace) -> None:
    (symptom,) = read(make_trace, "train.py:1|net.2|softmax|cross_entropy", RISING)
    assert symptom.severity == 0.9
    assert (symptom.where, symptom.source) == ("net.2", "train.py:7")
    assert "train.py:1" in symptom.message and "raw scores" in symptom.message


def test_a_function_is_named_by_its_line_and_the_term(make_trace) -> None:
    (symptom,) = read(make_trace, "train.py:1|train.py:9|softmax|nll_loss", FAR)
    assert (symptom.where, symptom.source) == ("loss", "train.py:9")
    assert "logarithms" in symptom.message


def test_nothing_left_to_gain_is_no_alarm(make_trace) -> None:
    (symptom,) = read(make_trace, "train.py:1|net.2|softmax|cross_entropy", [0.5, 0.99, 0.99])
    assert symptom.severity == 0.3


@pytest.mark.parametrize(("curve", "alarming"), [(FAR, True), (RISING, False), ([0.9] * 8, False)])
def test_a_relu_is_a_fault_where_it_harms(make_trace, curve, alarming) -> None:
    (symptom,) = read(make_trace, "train.py:1|train.py:9|relu|cross_entropy", curve)
    assert symptom.alarming is alarming


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("train.py:1|net.2|softmax|mse_loss", (1.0,) * 6),
        ("train.py:1|train.py:1|probabilities|cross_entropy", (1.0, 0.0, 0.0, 1.0, 0.0)),
        ("train.py:1|net.2|softmax|cross_entropy", (1.0, 1.0)),
    ],
    ids=["a squared error", "by chance", "too few"],
)
def test_nothing_is_found(make_trace, place, values) -> None:
    assert not read(make_trace, place, FAR, values)
