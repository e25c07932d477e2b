from __future__ import annotations

import pytest

from probes.stale_norm_statistics import StaleNormStatistics

MODULES = [
    {"where": "norm", "type": "BatchNorm1d", "source": "train.py:3", "running_statistics": True}
]


def norm(ratio: list[float], shift: list[float]) -> dict:
    return {
        (phase, "norm", name): curve
        for phase in ("train", "eval")
        for name, curve in (("norm.variance_ratio", ratio), ("norm.mean_shift", shift))
    }


@pytest.mark.parametrize(
    "ratio, shift",
    [([20.0] * 11, [0.0] * 11), ([0.05] * 11, [0.0] * 11), ([1.0] * 11, [1.5] * 11)],
    ids=["variance too small", "variance too large", "mean elsewhere"],
)
def test_wrong_statistics_are_found_at_the_norm(make_trace, ratio, shift) -> None:
    (symptom,) = StaleNormStatistics().read(make_trace(norm(ratio, shift), modules=MODULES))
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("norm", "train.py:3")


def test_small_batches_and_the_first_steps_are_no_alarm(make_trace) -> None:
    signals = norm([0.02] * 4 + [0.6, 1.6, 0.7, 1.3, 0.8, 1.2, 1.0], [2.0] * 4 + [0.3] * 7)
    found = StaleNormStatistics().read(make_trace(signals, modules=MODULES))
    assert not any(symptom.alarming for symptom in found)


def test_other_data_in_evaluation_alone_is_not_its_business(make_trace) -> None:
    signals = norm([1.0] * 11, [0.1] * 11)
    signals["eval", "norm", "norm.variance_ratio"] = [30.0] * 11
    assert not list(StaleNormStatistics().read(make_trace(signals, modules=MODULES)))


@pytest.mark.parametrize(("lag", "found"), [("Net@train.py:9", True), ("Other@train.py:9", False)])
def test_an_averaged_copy_without_the_buffers(make_trace, lag, found) -> None:
    signals = norm([1.0] * 11, [0.1] * 11)
    signals["eval", "Net#2:norm", "norm.variance_ratio"] = [9.0] * 11
    signals["eval", "Net#2:norm", "norm.mean_shift"] = [5.0] * 11
    signals["eval", lag, "average.lag"] = [0.1] * 11
    copied = {**MODULES[0], "where": "Net#2:norm", "source": "train.py:5"}
    symptoms = list(StaleNormStatistics().read(make_trace(signals, modules=[*MODULES, copied])))
    assert [(s.where, "needs the buffers" in s.message) for s in symptoms] == (
        [("Net#2:norm", True)] if found else []
    )
