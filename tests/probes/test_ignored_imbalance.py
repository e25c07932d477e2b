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
