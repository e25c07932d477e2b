"""The first trial of a launcher, which does not wait for Ray."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.cluster import Connection, connecting
from agent.launch import Launcher
from agent.workload import Outcome, TrialSpec
from tests.agent.test_controller import training

pytestmark = pytest.mark.slow

Launch = Callable[..., Launcher]
Run = Callable[..., list[Outcome]]
Write = Callable[[str, str], Path]

WHERE = """
    import psutil, sys, time
    inside = any(p.name() == "raylet" for p in psutil.Process().parents())
    print(f"under_ray={int(inside)}", flush=True)
"""


@pytest.fixture
def unstarted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no Ray had been started in this process."""
    monkeypatch.setattr("agent.launch.must_start", lambda address: True)


def _under_ray(outcome: Outcome) -> float:
    return outcome.trace.metrics["under_ray"].values[-1]


def _hosts() -> list[psutil.Process]:
    """The processes that are hosts without Ray."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # It has just ended.
            if "agent.inside.alone" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_the_first_trial_runs_without_ray_and_the_others_with_it(
    unstarted: None, launcher: Launch, outcomes: Run, write: Write
) -> None:
    with launcher(write("train.py", WHERE)) as started:
        assert started.slots == 1
        found = outcomes(started, TrialSpec(0), TrialSpec(1, seed=1))
        started.submit(TrialSpec(2))
        found += outcomes(started)
    assert [outcome.status for outcome in found] == ["completed", "completed"]
    assert [_under_ray(outcome) for outcome in found] == [0, 1]
    assert _hosts() == []


def test_it_tells_what_a_host_of_ray_tells(
    unstarted: None, launcher: Launch, outcomes: Run, write: Write
) -> None:
    with launcher(write("train.py", training())) as started:
        alone, with_ray = outcomes(started, TrialSpec(0), TrialSpec(1))
    assert alone.trace.signals == with_ray.trace.signals and alone.trace.signals
    assert alone.trace.metrics == with_ray.trace.metrics
    assert alone.steps == with_ray.steps > 0


def test_no_more_run_than_there_are_slots(
    unstarted: None, launcher: Launch, outcomes: Run, write: Write, tmp_path: Path
) -> None:
    """The host of Ray is ready long before the first has ended, which sleeps."""
    sleeps = f"time.sleep(0 if os.path.exists({str(tmp_path / 'slept')!r}) else 9)"
    slept = f"import os; {sleeps}; open({str(tmp_path / 'slept')!r}, 'w').close()"
    script = write("train.py", f"{WHERE}    print(f'x_clock={{time.time()}}'); {slept}\n")
    with launcher(script) as started:
        first, second = outcomes(started, TrialSpec(0), TrialSpec(1))
    [[one], [other]] = [outcome.trace.metrics["x_clock"].values for outcome in (first, second)]
    assert other > one + 9


def test_ray_is_not_started_for_it_where_no_other_is_to_follow(
    unstarted: None, launcher: Launch, outcomes: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []

    def connect(*asked: Any) -> contextlib.AbstractContextManager[Connection]:
        begun.append(asked)
        return connecting(*asked)

    monkeypatch.setattr("agent.launch.connecting", connect)
    with launcher(write("train.py", WHERE), ahead=False) as started:
        [first] = outcomes(started, TrialSpec(0))
        assert not begun
        [second] = outcomes(started, TrialSpec(1))
    assert [_under_ray(first), _under_ray(second)] == [0, 1] and len(begun) == 1


def test_it_is_cancelled(unstarted: None, launcher: Launch, write: Write) -> None:
    with launcher(write("train.py", f"{WHERE}    time.sleep(600)\n")) as started:
        started.submit(TrialSpec(0))
        status = ""
        while started.pending:
            for _, report in started.poll():
                if isinstance(report, Outcome):
                    status = report.status
                elif report["event"] == "metric":
                    started.cancel(0)
    assert status == "cancelled"


@pytest.mark.parametrize("ahead", [True, False])
def test_it_is_run_again_with_ray_when_its_host_dies(
    unstarted: None, launcher: Launch, write: Write, ahead: bool
) -> None:
    with launcher(write("train.py", f"{WHERE}    time.sleep(2)\n"), ahead=ahead) as started:
        started.submit(TrialSpec(0))
        told: list[str] = []
        while started.pending:
            for _, report in started.poll():
                if isinstance(report, Outcome):
                    outcome = report
                elif report["event"] == "metric" and not report["value"]:
                    [host] = _hosts()
                    host.kill()
                elif report["event"] == "note":
                    told.append(report["text"])
    assert outcome.status == "completed" and _under_ray(outcome) == 1
    assert told == ["run again, its host was lost: its process has died"]


def test_nothing_is_left_where_nobody_waits_for_it(
    unstarted: None, launcher: Launch, write: Write
) -> None:
    marker = f"marker-{os.getpid()}-{time.time_ns()}"
    code = f"import time; time.sleep(600) # {marker}"
    more = f"    import subprocess; subprocess.Popen([sys.executable, '-c', {code!r}])\n"
    with launcher(write("train.py", f"{more}{WHERE}    time.sleep(600)\n")) as started:
        started.submit(TrialSpec(0))
        while not any(report["event"] == "metric" for _, report in started.poll()):
            pass
    assert not [p for p in psutil.process_iter(["cmdline"]) if marker in str(p.info["cmdline"])]
