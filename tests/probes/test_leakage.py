from __future__ import annotations

import pytest

from probes.leakage import Leakage
from probes.objective import Objective
from probes.trace import Trace

CURVE = [0.4, 0.6, 0.7, 0.75]


def read(groups, name="val_acc", curve=CURVE):
    """Groups of passes of four evaluations, at steps 25 to 100."""
    events = [{"event": "module", "where": "Net", "type": "Net", "parent": None}]
    for place, shares in enumerate(groups, start=1):
        rows = [["train.py:9", "samples.shared", share] for share in shares]
        step = 100 * place // len(groups)
        events.append({"event": "signals", "step": step, "phase": "eval", "rows": rows})
    for place, value in enumerate(curve, start=1):
        events.append({"event": "metric", "name": name, "step": 25 * place, "value": value})
    trace = Trace.of([*events, {"event": "progress", "step": 100}])
    return list(Leakage().read(trace, Objective(name=name, mode="max")))


@pytest.mark.parametrize("share", [0.4, 0.9, 1.04])
def test_a_held_out_metric_on_training_samples(share) -> None:
    (symptom,) = read([[share, share]] * 4)
    assert symptom.alarming and symptom.severity <= 0.9
    assert (symptom.where, symptom.source) == ("Net", "train.py:9")


def test_a_metric_of_unknown_name_may_mean_training() -> None:
    (symptom,) = read([[1.0]] * 4, name="accuracy")
    assert symptom.severity == 0.3
    (symptom,) = read([[1.0]] * 4, name="test_acc", curve=[0.9])
    assert symptom.severity == 0.3


@pytest.mark.parametrize(
    "groups",
    [
        [[0.0, 0.0]] * 4,
        [[1.0, 1.0, 0.0]] * 4,
        [[1.0]] * 3 + [[1.0, 0.0]],
        [[0.05]] * 4,
        [[1.0]],
    ],
    ids=["disjoint", "training beside", "held out in the end", "by accident", "once"],
)
def test_nothing_is_found(groups) -> None:
    assert not read(groups)
