"""What an outcome still tells when its trace is on the disk."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from agent.workload import Outcome, TrialSpec
from probes.objective import Objective
from probes.trace import Event, Trace
from remedies.treatment import Action

ACCURACY = Objective(name="acc", mode="max")
TREATMENT = (Action(remedy="R301", name="scale-learning-rate", params={"factor": 0.1}),)
EVENTS: list[Event] = [
    {"event": "module", "where": "net", "type": "Linear"},
    {"event": "applied", "remedy": "R301", "target": "", "detail": ""},
    {"event": "signals", "step": 3, "phase": "train", "rows": [["net", "output.rms", 1.5]]},
    {"event": "metric", "step": 4, "name": "acc", "value": 0.75},
    {"event": "ending", "status": "completed", "steps": 5, "message": "", "output_tail": "long"},
]


def test_a_trace_that_was_put_away_is_read_again(tmp_path: Path) -> None:
    outcome = Outcome(TrialSpec(1, TREATMENT), Trace.of(EVENTS))
    held = weakref.ref(outcome.trace)
    before = outcome.value(ACCURACY), outcome.steps, outcome.status, outcome.applied
    outcome.put_away(tmp_path / "1")
    gc.collect()
    assert held() is None
    assert (outcome.value(ACCURACY), outcome.steps, outcome.status, outcome.applied) == before
    assert before == (0.75, 5, "completed", {"R301"})
    again = outcome.trace
    assert repr(vars(again)) == repr(vars(Trace.of(EVENTS)))
    assert outcome.trace is again
    outcome.put_away(tmp_path / "1")


def test_whoever_reads_a_trace_keeps_it(tmp_path: Path) -> None:
    outcome = Outcome(TrialSpec(1), Trace.of(EVENTS))
    trace = outcome.trace
    outcome.put_away(tmp_path / "1")
    assert outcome.trace is trace


def test_a_value_that_nobody_asked_for_before_is_read_from_the_disk(tmp_path: Path) -> None:
    outcome = Outcome(TrialSpec(1), Trace.of(EVENTS))
    outcome.put_away(tmp_path / "1")
    assert outcome.value(ACCURACY) == 0.75
