from __future__ import annotations

import pytest

from probes.lagging_normaliser import LaggingNormaliser


def values(end: float) -> list[float]:
    return [2.0 + (end - 2.0) * step / 100 + 0.1 * (step % 3) for step in range(101)]


def normalised(curve: list[float], momentum: float) -> list[float]:
    weights, mean = [], curve[0]
    for step, value in enumerate(curve):
        keep = momentum if step > 10 else step / (step + 1)
        mean = keep * mean + (1 - keep) * value
        weights.append(0.7 / mean)
    return weights


def read(make_trace, curve, weights):
    signals = {("train", "a", "term.value"): curve, ("train", "a", "term.weight"): weights}
    return list(LaggingNormaliser().read(make_trace(signals, terms=["a"])))


@pytest.mark.parametrize(("momentum", "lag"), [(0.8, 5.0), (0.95, 20.0), (0.98, 50.0)])
def test_the_lag_of_a_running_mean_is_told(make_trace, momentum, lag) -> None:
    curve = values(0.4)
    (symptom,) = read(make_trace, curve, normalised(curve, momentum))
    assert symptom.severity == 0.3
    assert (symptom.where, symptom.source) == ("a", "train.py:1")
    assert symptom.evidence["lag"] == lag
    assert f"{lag:.0f} steps" in symptom.message


@pytest.mark.parametrize(
    ("curve", "weights"),
    [
        (values(0.4), [0.5] * 101),
        (values(0.4), [step / 100 + 0.01 for step in range(101)]),
        (values(2.0), normalised(values(2.0), 0.95)),
        ([-value for value in values(0.4)], normalised(values(0.4), 0.95)),
    ],
    ids=["constant", "schedule", "nothing varies", "negative"],
)
def test_other_weights_are_nothing(make_trace, curve, weights) -> None:
    assert not read(make_trace, curve, weights)
