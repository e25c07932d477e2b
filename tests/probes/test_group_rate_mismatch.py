from __future__ import annotations

import pytest

from probes.group_rate_mismatch import GroupRateMismatch
from probes.objective import Objective
from probes.trace import Trace

ACCURACY = Objective(name="val_acc", mode="max")
STUCK = [0.3, 0.5, 0.55, 0.56, 0.56, 0.56, 0.56, 0.56]


def run(rate=1e-7, steady=0.5, ratio=1e-6, other="Adam[1]", curve=STUCK) -> Trace:
    groups = {"Adam[0]": (rate, ratio, "body.weight"), other: (1e-3, 1e-3, "head.weight")}
    events = [
        {"event": "optimizer", "where": where, "type": "Adam", "source": "train.py:9",
         "parameters": [name]}
        for where, (_, _, name) in groups.items()
    ]  # fmt: skip
    for step in range(100):
        rows = []
        for where, (lr, update, name) in groups.items():
            rows += [[where, "optimizer.lr", lr], [where, "optimizer.steadiness", steady]]
            rows += [[name, "weight.norm", 1.0], [name, "update.norm", update]]
        events.append({"event": "signals", "step": step, "phase": "train", "rows": rows})
    for place, value in enumerate(curve, start=1):
        step = 100 * place // len(curve)
        events.append({"event": "metric", "step": step, "name": "val_acc", "value": value})
    return Trace.of(events)


@pytest.mark.parametrize(("rate", "ratio"), [(1e-7, 1e-6), (0.0, 0.0), (1e-6, 5e-4)])
def test_a_group_that_stands_still_beside_others_is_named(rate, ratio) -> None:
    (symptom,) = GroupRateMismatch().read(run(rate=rate, ratio=ratio), ACCURACY)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("Adam[0]", "train.py:9")


def test_one_that_is_held_on_purpose_is_an_observation() -> None:
    (symptom,) = GroupRateMismatch().read(run(curve=[0.5, 0.8, 0.95, 0.96] * 2), ACCURACY)
    assert symptom.severity == 0.3


@pytest.mark.parametrize(
    "case",
    [{"rate": 1e-5}, {"steady": 0.0}, {"ratio": 2e-3}, {"other": "Adam#2"}],
    ids=["a gentle rate", "nothing to learn", "it moves", "another optimizer"],
)
def test_other_groups_are_fine(case) -> None:
    assert not list(GroupRateMismatch().read(run(**case), ACCURACY))
