from __future__ import annotations

import pytest

from probes.gradient_conflict import GradientConflict
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")


def line(start: float, end: float) -> list[float]:
    return [start + (end - start) * place / 20 for place in range(21)]


def read(make_trace, cosine, label=(1.4, 1.8), strength=1.0, metric=(0.2, 0.1), mode="max"):
    signals = {
        ("train", "label|teacher", "term.cosine"): cosine,
        ("train", "label", "term.grad"): [1.0] * 21,
        ("train", "teacher", "term.grad"): [strength] * 21,
        ("train", "label", "term.value"): line(*label),
        ("train", "teacher", "term.value"): line(1.0, 0.4),
    }
    name = "val_acc" if mode == "max" else "val_mae"
    trace = make_trace(signals, {name: line(*metric)}, terms=("label", "teacher"))
    return list(GradientConflict().read(trace, Objective(name=name, mode=mode)))


def test_terms_that_pull_apart_while_nothing_improves_are_an_alarm(make_trace) -> None:
    first, second = read(make_trace, [-0.1, *[-0.9] * 20])
    assert (first.where, second.where) == ("teacher", "label")
    assert (first.source, second.source) == ("train.py:2", "train.py:1")
    assert first.severity == second.severity > 0.9
    assert first.step == 5
    assert first.evidence["cosine"] == -0.9 and second.evidence["fall"] < 0


@pytest.mark.parametrize(
    "other",
    [
        {"metric": (0.2, 0.9)},
        {"metric": (0.9, 0.85)},
        {"label": (1.4, 0.5)},
        {"mode": "min", "metric": (2.0, 2.0)},
    ],
    ids=["metric improves", "metric is good", "both fall", "best value not known"],
)
def test_without_harm_it_is_an_observation(make_trace, other) -> None:
    assert [s.severity for s in read(make_trace, [-0.9] * 21, **other)] == [0.3, 0.3]


@pytest.mark.parametrize(
    ("cosine", "strength"),
    [
        ([0.3] * 21, 1.0),
        ([*[0.1] * 10, *[-0.9] * 11], 1.0),
        ([-0.9] * 21, 0.01),
        ([-0.9, 0.5, -0.5] * 7, 1.0),
    ],
    ids=["agree", "only where it has converged", "one is much weaker", "to and fro"],
)
def test_what_is_no_conflict(make_trace, cosine, strength) -> None:
    assert not read(make_trace, cosine, strength=strength)
