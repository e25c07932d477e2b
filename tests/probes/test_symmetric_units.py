from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.symmetric_units import SymmetricUnits
from probes.trace import Trace

ACCURACY = Objective(name="val_acc", mode="max")


def read(last: int, end: float = 0.5, held: float = 1000.0, first: int = 0):
    """Steps are probed every 10 of 100."""
    events = [{"event": "module", "where": "net.2", "type": "Linear", "source": "train.py:7"}]
    for step in range(0, 101, 10):
        rows = [["adam", "held.elements", held], ["net.2.weight", "grad.norm", 1.0]]
        if first <= step <= last:
            rows += [
                ["net.2.weight", "alike.elements", 400.0],
                ["net.2.weight", "alike.rows", 20.0],
            ]
        events.append({"event": "signals", "step": step, "phase": "train", "rows": rows})
        events.append({"event": "metric", "step": step, "name": "val_acc", "value": end})
    return list(SymmetricUnits().read(Trace.of(events), ACCURACY))


@pytest.mark.parametrize("last", [30, 100])
def test_units_that_stay_the_same_for_long(last: int) -> None:
    (symptom,) = read(last)
    assert symptom.alarming and (symptom.where, symptom.source) == ("net.2", "train.py:7")
    assert symptom.evidence == {"rows": 20.0, "weights": 1.0, "share": 0.4}
    assert f"until step {last} of 100" in symptom.message


@pytest.mark.parametrize("rest", [{"end": 0.9}, {"held": 10_000.0}])
def test_they_are_no_alarm_where_they_do_no_harm(rest: dict) -> None:
    (symptom,) = read(100, **rest)
    assert not symptom.alarming


@pytest.mark.parametrize("rest", [{"last": 20}, {"last": 100, "first": 60}])
def test_units_that_part_early_or_become_alike_later_are_left_alone(rest: dict) -> None:
    assert not read(**rest)
