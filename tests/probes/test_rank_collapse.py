from __future__ import annotations

import pytest

from probes import Objective
from probes.rank_collapse import RankCollapse
from probes.trace import Trace

METRIC = Objective(name="val_acc", mode="max")
STUCK = {"val_acc": [0.2] * 8}
MODULES = [
    {"where": "Net", "type": "Net", "source": "train.py:1"},
    {"where": "embed", "type": "Linear", "parent": "Net"},
    {"where": "blocks", "type": "ModuleList", "parent": "Net"},
    *({"where": f"blocks.{n}", "type": "Block", "parent": "blocks", "source": f"train.py:{n + 5}"}
      for n in range(3)),
    *({"where": f"blocks.{n}.out", "type": "Linear", "parent": f"blocks.{n}"} for n in range(3)),
]  # fmt: skip


def trace_of(make_trace, name: str, curves: dict, metrics: dict | None = None) -> Trace:
    signals = {}
    for where, curve in curves.items():
        signals["train", where, name] = curve if isinstance(curve, list) else [curve] * 12
        signals["train", where, "spread.width"] = [32.0] * 12
    return make_trace(signals, metrics or STUCK, modules=MODULES)


@pytest.mark.parametrize("name", ["spread.share", "spread.positions"])
def test_the_block_in_which_the_rows_become_the_same(make_trace, name) -> None:
    curves = {"embed": 0.9, "blocks.0.out": 0.2, "blocks.1.out": 0.001, "blocks.2.out": 1e-6}
    (symptom,) = RankCollapse().read(trace_of(make_trace, name, curves), METRIC)
    assert (symptom.where, symptom.source) == ("blocks.1", "train.py:6")
    assert symptom.severity > 0.9


def test_a_run_that_does_well_makes_it_an_observation(make_trace) -> None:
    rising = {"val_acc": [0.2, 0.6, 0.8, 0.9, 0.95, 0.96, 0.97, 0.98]}
    trace = trace_of(make_trace, "spread.share", {"embed": 0.9, "blocks.1.out": 1e-3}, rising)
    (symptom,) = RankCollapse().read(trace, METRIC)
    assert symptom.severity == 0.3


def test_dead_units_tell_why(make_trace) -> None:
    trace = trace_of(make_trace, "spread.share", {"embed": 0.9, "blocks.1.out": 1e-3})
    for step in range(50, 100, 5):
        row = ["blocks.0.out", "unit.dead", 1.0]
        trace.feed({"event": "signals", "step": step, "phase": "train", "rows": [row]})
    (symptom,) = RankCollapse().read(trace, METRIC)
    assert symptom.severity == 0.3


def test_inputs_that_are_all_alike_are_no_fault_of_the_model(make_trace) -> None:
    trace = trace_of(make_trace, "spread.share", {"Net.input": 0.02, "blocks.1.out": 1e-3})
    assert not list(RankCollapse().read(trace, METRIC))


def test_a_spread_that_goes_over_the_course_of_the_run(make_trace) -> None:
    falling = [0.6 * 0.7**place for place in range(12)]
    trace = trace_of(make_trace, "spread.share", {"embed": 0.9, "blocks.2.out": falling})
    (symptom,) = RankCollapse().read(trace, METRIC)
    assert symptom.where == "blocks.2" and symptom.severity > 0.9


def test_one_direction_is_enough_for_what_is_predicted(make_trace) -> None:
    curves = {"embed": 8.0, "blocks.1.out": 1.05}
    (symptom,) = RankCollapse().read(trace_of(make_trace, "spread.rank", curves), METRIC)
    assert symptom.where == "blocks.1"
    judged = trace_of(make_trace, "spread.rank", curves)
    row = ["loss", "target.unexplained", 0.5]
    judged.feed({"event": "signals", "step": 60, "phase": "train", "rows": [row]})
    assert not list(RankCollapse().read(judged, METRIC))


def test_a_branch_beside_which_the_stream_goes_on_is_no_collapse(make_trace) -> None:
    curves = {"embed": 0.9, "blocks.1.out": 1e-4, "blocks.2.out": 0.5}
    assert not list(RankCollapse().read(trace_of(make_trace, "spread.share", curves), METRIC))
