from __future__ import annotations

import pytest

from probes.always_clipping import AlwaysClipping
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")
STUCK = [0.2, 0.2, 0.21, 0.2]
FLAT = [1.0, 0.99, 0.98]


def clipped(limit: float) -> list[tuple[str, str, float]]:
    return [("train.py:20", "clip.norm", 2.0), ("train.py:20", "clip.limit", limit)]


def test_the_line_that_clips_is_named(optimize) -> None:
    trace = optimize(FLAT, STUCK, ratio=1e-5, rows=clipped(1e-3))
    (symptom,) = AlwaysClipping().read(trace, ACCURACY)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("SGD", "train.py:20")
    assert symptom.evidence["kept"] == pytest.approx(5e-4)


def test_weights_that_went_less_far_than_usual_will_do_for_sgd(optimize) -> None:
    trace = optimize(FLAT, STUCK, ratio=0.01, rows=clipped(0.1))
    (symptom,) = AlwaysClipping().read(trace, ACCURACY)
    assert symptom.severity == 0.5


@pytest.mark.parametrize(
    ("metric", "ratio", "limit", "kind", "steadiness"),
    [
        (STUCK, 0.01, 0.1, "Adam", 0.5),
        (STUCK, 0.05, 0.1, "SGD", 0.5),
        (STUCK, 0.01, 0.1, "SGD", 0.0),
        (STUCK, 1e-5, 1.0, "SGD", 0.5),
        ([0.2, 0.5, 0.9], 0.01, 0.1, "SGD", 0.5),
    ],
    ids=["Adam moves all the same", "far enough", "nothing to learn", "mild", "it learns"],
)
def test_nothing_is_found(optimize, metric, ratio, limit, kind, steadiness) -> None:
    rows = clipped(limit)
    trace = optimize(FLAT, metric, ratio=ratio, kind=kind, steadiness=steadiness, rows=rows)
    assert not list(AlwaysClipping().read(trace, ACCURACY))
