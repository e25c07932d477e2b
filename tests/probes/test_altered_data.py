from __future__ import annotations

import pytest

from probes.altered_data import AlteredData
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")
KEY = "Images.pixels|train.py:12"


def read(make_trace, changed, metric=0.5):
    signals = {("train", KEY, "data.changed"): list(changed)}
    trace = make_trace(signals, {"val_acc": [metric] * 6})
    return list(AlteredData().read(trace, ACCURACY))


@pytest.mark.parametrize(("metric", "alarming"), [(0.5, True), (0.95, False)])
def test_rows_that_are_others_after_they_were_read(make_trace, metric, alarming) -> None:
    (symptom,) = read(make_trace, [1.0, 0.6, 0.4], metric)
    assert (symptom.where, symptom.source) == ("Images.pixels", "train.py:12")
    assert symptom.alarming is alarming and symptom.evidence["changed"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("changed", [(1.0, 1.0), (0.0, 0.0, 0.0, 0.0), (0.05, 0.0, 0.05, 0.05)])
def test_data_that_stays_is_left_alone(make_trace, changed) -> None:
    assert not read(make_trace, changed)
