"""What trials remember."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from agent.trials import Trials
from agent.workload import Outcome, TrialSpec
from probes.base import Probe
from probes.objective import Objective
from probes.trace import Event, Trace
from remedies.treatment import CONTROL, Action
from tests.agent.made_up import MadeUp


class Counting:
    """Stands in for a probe and counts how often each trace is read."""

    def __init__(self) -> None:
        self.read_traces: list[Trace] = []

    def read(self, trace: Trace, metric: Objective | None = None) -> list[Any]:
        self.read_traces.append(trace)
        return []


def outcome(number: int, seed: int, treated: bool) -> Outcome:
    treatment = (Action(remedy="R301", name="scale-learning-rate"),) if treated else CONTROL
    events = [
        {"event": "metric", "step": 1, "name": "acc", "value": 0.5},
        {"event": "ending", "status": "completed", "steps": 1},
    ]
    return Outcome(TrialSpec(number, treatment, seed), Trace.of(events))


def test_the_symptoms_of_a_control_are_read_once_per_seed() -> None:
    probe = Counting()
    trials = Trials(cast(Any, None), lambda progress: None, lambda *_: None, [cast(Probe, probe)])
    trials.objective = Objective(name="acc", mode="max")
    for seed in (1, 2):
        trials.controls[seed] = outcome(seed, seed, treated=False)
        for _ in range(3):
            trials.assess(outcome(9, seed, treated=True))
    for control in trials.controls.values():
        assert sum(trace is control.trace for trace in probe.read_traces) == 1
    assert len(probe.read_traces) == 2 + 6


def test_a_trial_of_an_earlier_diagnosis_is_taken_over_and_recorded() -> None:
    asked: list[TrialSpec] = []
    recorded: list[Outcome] = []

    def recall(spec: TrialSpec) -> Outcome:
        asked.append(spec)
        return replace(outcome(7, spec.seed, treated=False), spec=spec, recalled="run-7")

    trials = Trials(
        cast(Any, None), lambda progress: None, lambda o, _: recorded.append(o), (), recall=recall
    )
    [found] = trials.run([(CONTROL, 5)], "search")
    assert found.recalled == "run-7" and found.spec == TrialSpec(0, CONTROL, 5) == asked[0]
    assert [each.recalled for each in recorded] == ["run-7"]
    assert trials.run([(CONTROL, 5)], "search") == [found] and len(asked) == 1


def test_what_is_stopped_has_cost_something_and_is_no_control() -> None:
    launcher = Hanging()
    recorded: list[Outcome] = []
    trials = Trials(
        launcher, lambda progress: None, lambda outcome, part: recorded.append(outcome), []
    )
    numbers = [trials.start(CONTROL, seed, "confirm") for seed in (1, 2)]
    trials.stop()
    assert not launcher.running and sorted(trials.outcomes) == numbers
    assert trials.controls == {} and len(recorded) == 2 and trials.spent == 2
    trials.stop()


def test_the_trace_of_a_treated_run_is_put_away_once_it_was_judged(tmp_path: Path) -> None:
    launcher = MadeUp(lambda treatment: 0.5)
    trials = Trials(launcher, lambda progress: None, lambda *_: None, (), shelf=tmp_path)
    trials.objective = Objective(name="val_acc", mode="max")
    halved = Action(remedy="R301", name="scale-learning-rate", params={"factor": 0.5})
    control, treated = trials.run([(CONTROL, 0), ((halved,), 0)], "search")
    held, put_away = weakref.ref(control.trace), weakref.ref(treated.trace)
    gc.collect()
    assert held() is not None and put_away() is None
    assert trials.steps == 200 and trials.spent == 2
    assert trials.assess(treated).unchanged and treated.trace.metrics["val_acc"].values == [
        0.1,
        0.5,
    ]


class Hanging:
    """A launcher of which no trial ends unless it is cancelled."""

    slots = 1

    def __init__(self) -> None:
        self.running: dict[int, TrialSpec] = {}
        self._ended: list[tuple[int, Event | Outcome]] = []

    def submit(self, spec: TrialSpec) -> None:
        self.running[spec.number] = spec

    def cancel(self, number: int) -> None:
        events: list[Event] = [{"event": "ending", "status": "cancelled", "steps": 1}]
        self._ended.append((number, Outcome(self.running.pop(number), Trace.of(events))))

    def poll(self) -> list[tuple[int, Event | Outcome]]:
        return [self._ended.pop(0)]
