from __future__ import annotations

import math

import pytest

from probes.objective import Objective
from probes.unusable_features import UnusableFeatures

ACCURACY = Objective(name="val_acc", mode="max")
STUCK = [0.2, 0.25, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
GOOD = [0.2, 0.6, 0.9, 0.95, 0.96, 0.96, 0.97, 0.97]


def read(make_trace, curve=STUCK, missing=(0.0,) * 9, outlying=(0.0,) * 9, loss=(1.0,) * 9):
    signals = {
        ("train", "first", "input.missing"): missing,
        ("train", "first", "input.outlying"): outlying,
        ("train", "first", "input.column"): [3.0] * 9,
        ("train", "loss", "loss.value"): loss,
    }
    modules = [{"where": "first", "type": "Linear", "source": "train.py:3", "parent": ""}]
    trace = make_trace(signals, {"val_acc": curve}, modules)
    return list(UnusableFeatures().read(trace, ACCURACY))


def test_missing_values_that_break_the_loss(make_trace) -> None:
    missing = (0.0, 0.01, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0)
    broken = (1.0,) + (math.nan,) * 8
    (symptom,) = read(make_trace, missing=missing, loss=broken)
    assert symptom.severity == 0.9 and "feature 3" in symptom.message
    assert (symptom.where, symptom.source) == ("first", "train.py:3")
    (symptom,) = read(make_trace, missing=missing)
    assert symptom.severity == 0.3, "the script leaves them out of the loss"


@pytest.mark.parametrize(("curve", "severity"), [(STUCK, 0.75), (GOOD, 0.3)])
def test_codes_for_missing_values(make_trace, curve, severity) -> None:
    outlying = (0.02, 0.0, 0.01, 0.03, 0.02, 0.0, 0.02, 0.02, 0.02)
    (symptom,) = read(make_trace, curve, outlying=outlying)
    assert symptom.severity == severity


def test_a_single_outlier_is_nothing(make_trace) -> None:
    assert not read(make_trace, outlying=(0.01,) + (0.0,) * 8)
    assert not read(make_trace)
