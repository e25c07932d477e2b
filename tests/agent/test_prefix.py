"""Long runs are diagnosed on a prefix that shows the symptoms."""

from __future__ import annotations

from typing import Any, cast

import pytest

from agent.prefix import choose, cut
from agent.trials import Trials
from agent.workload import Outcome, TrialSpec
from probes.facts import Ending
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

LOSS = Objective(name="loss", mode="min")


def long_run(seconds: float = 100.0, status: str = "completed") -> Outcome:
    """A report after every 100 of 1000 steps; a signal at each of these."""
    trace = Trace()
    for step in range(100, 1001, 100):
        rows = [["net", "output.std", 1.0]]
        trace.feed({"event": "signals", "step": step - 1, "phase": "train", "rows": rows})
        trace.feed({"event": "metric", "step": step, "name": "loss", "value": 1000.0 / step})
    trace.feed({"event": "progress", "step": 1000})
    trace.ending = Ending(cast(Any, status), seconds=seconds, steps=1000)
    return Outcome(TrialSpec(0), trace, 0.0, seconds)


def sick_from(step: int) -> Any:
    """Reads an alarm from every trace that is at least so long, and a mild one from all."""

    def read(outcome: Outcome) -> tuple[Symptom, ...]:
        found = [Symptom(code="P901", name="mild", severity=0.3, where="net", message="m")]
        if len(outcome.trace.signal("train", "net", "output.std")) * 100 >= step:
            found.append(Symptom(code="P900", name="ill", severity=0.9, where="net", message="m"))
        return tuple(found)

    return read


@pytest.mark.parametrize(
    ("sick", "budget", "steps"),
    [
        (100, 2500.0, None),  # all of it can be afforded
        (100, 1300.0, 501),  # half of it, and the report after step 500
        (100, 60.0, 301),  # not even three reports can be afforded: they are the least
        (600, 1300.0, 601),  # what can be afforded shows nothing
        (2000, 1300.0, None),  # never sick
    ],
)
def test_the_longest_prefix_that_is_sick_and_affordable(
    sick: int, budget: float, steps: int | None
) -> None:
    found = choose(long_run(), LOSS, sick_from(sick), runs=24, budget=budget)
    assert (found and found.steps) == steps


def test_a_run_that_ran_out_of_time_is_diagnosed_as_far_as_it_came() -> None:
    run = long_run(status="timeout")
    found = choose(run, LOSS, sick_from(100), runs=24, budget=1e9)
    assert found is not None
    assert (found.steps, found.outcome.status) == (901, "stopped")
    assert choose(run, LOSS, sick_from(2000), runs=24, budget=1e9) is None


def test_a_cut_run_is_what_a_stopped_one_would_have_been() -> None:
    short = cut(long_run(), 501)
    assert (short.trace.steps, short.status) == (501, "stopped")
    assert short.trace.metrics["loss"].steps == [100, 200, 300, 400, 500]
    assert short.trace.metrics["loss"].source == "printed"
    assert short.trace.signal("train", "net", "output.std").steps == [99, 199, 299, 399, 499]
    assert short.value(LOSS) == 2.0
    # A run that is stopped at step 500 does not get to its report.
    assert cut(long_run(), 500).trace.metrics["loss"].steps[-1] == 400


def test_what_is_known_of_the_program_is_known_of_its_prefix() -> None:
    trace = long_run().trace
    trace.feed({"event": "optimizer", "where": "SGD", "type": "SGD", "parameters": ["net.weight"]})
    trace.feed({"event": "nonfinite", "operation": "log", "source": "a.py:1", "step": 700})
    for steps, overflowed in ((701, True), (700, False)):
        part = trace.before(steps)
        assert list(part.optimizers) == ["SGD"] and part.modules == trace.modules
        assert (part.non_finite is not None) is overflowed
    assert trace.ending is not None and trace.before(700).ending is None


class Launcher:
    """Keeps what it is told to run."""

    def __init__(self) -> None:
        self.specs: list[TrialSpec] = []

    def submit(self, spec: TrialSpec) -> None:
        self.specs.append(spec)


def test_trials_on_a_prefix_are_stopped_there_and_cost_one_each() -> None:
    launcher = Launcher()
    trials = Trials(cast(Any, launcher), lambda progress: None, lambda *_: None, ())
    whole = long_run()
    trials._keep(whole)
    assert trials.spent == 1.0
    trials.shorten(cut(whole, 251), 251)
    trials.start((), 1, "confirm")
    assert launcher.specs[0].max_steps == 251
    assert trials.controls[0].trace.steps == 251
    assert (trials.spent, trials.steps) == (1.0, 1000)
