"""Which untreated runs can be diagnosed, and what is said of the others."""

from __future__ import annotations

import pytest

from agent.errors import WorkloadError
from agent.observation import check_baseline
from agent.workload import Outcome, TrialSpec
from probes.facts import Ending
from probes.symptom import Symptom
from probes.trace import Trace

DIVERGED = Symptom(
    code="P301", name="non-finite-training", severity=1.0, where="loss", message="gone"
)


def run(steps: int = 100, **ending: object) -> Outcome:
    trace = Trace()
    trace.ending = Ending(steps=steps, **ending)  # type: ignore[arg-type]
    trace.steps = steps
    return Outcome(TrialSpec(0), trace)


@pytest.mark.parametrize(
    "baseline, said",
    [
        (run(0, status="completed"), "trains nothing"),
        (run(21, status="raised", message="ValueError: bad", source="train.py:8"), "train.py:8"),
        (run(status="exited", exit_code=3, message="sys.exit(3)"), r"sys\.exit\(3\)"),
        (run(status="killed", exit_code=-11, message="SIGSEGV"), "SIGSEGV"),
        (run(status="timeout", message="exceeded 5 s"), "--timeout, .*--max-steps"),
        (run(status="out-of-memory", message="exceeded 512 MiB"), "Raise --memory"),
    ],
    ids=lambda value: value.status if isinstance(value, Outcome) else "",
)
def test_a_run_that_fails_by_itself_is_an_error_of_one_line(baseline: Outcome, said: str) -> None:
    with pytest.raises(WorkloadError, match=said) as caught:
        check_baseline(baseline, [])
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_run_that_stops_because_its_training_went_wrong_is_sick() -> None:
    check_baseline(run(9, status="raised", message="RuntimeError: nan"), [DIVERGED])


def test_a_run_that_other_arguments_would_cure_may_stop_itself() -> None:
    stopped = run(9, status="raised", message="AssertionError: stuck")
    check_baseline(stopped, [], known_bad=True)
    with pytest.raises(WorkloadError):
        check_baseline(stopped, [])


def test_a_crash_is_none_of_the_training() -> None:
    with pytest.raises(WorkloadError):
        check_baseline(run(status="killed", exit_code=-11, message="SIGSEGV"), [DIVERGED])


@pytest.mark.parametrize("status", ["completed", "stopped"])
def test_a_planned_end_is_fine(status: str) -> None:
    check_baseline(run(status=status), [])


def test_an_exception_that_a_symptom_explains_is_explained() -> None:
    broken = run(0, status="raised", message="IndexError: Target 5", source="train.py:9")
    known = DIVERGED.model_copy(update={"source": "train.py:9", "message": "five labels, four"})
    with pytest.raises(WorkloadError, match="Target 5. five labels, four$"):
        check_baseline(broken, [known])
    with pytest.raises(WorkloadError, match="Make it run by itself first"):
        check_baseline(broken, [DIVERGED])
