"""Which runs of a store need help."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.recorder.facts import process_identity
from agent.triage.runs import VERDICT, Run
from agent.triage.scan import Scan, Selection
from agent.triage.tracking import Tracking

ROOT = Path(__file__).parents[3]
Log = Callable[..., Run]


@pytest.fixture
def kinds(tracking: Tracking, experiment: str) -> Callable[..., list[str]]:
    """Scans the experiment; the kinds of what is wrong, in the order of the cases."""

    def kinds(settle: bool = False, **options: object) -> list[str]:
        scan = Scan(tracking, experiment, Selection(**options))  # type: ignore[arg-type]
        cases = list(scan.cases())
        if settle:
            scan.settle(())
        return [case.kind for case in cases]

    return kinds


Kinds = Callable[..., list[str]]


def noted(number: int, /, **changes: str) -> dict[str, str]:
    return {f"agent.run.{k}": v for k, v in (process_identity(number) | changes).items()}


def test_runs_that_did_not_end_well(log: Log, kinds: Kinds) -> None:
    log("FAILED", ago=90)
    log("KILLED", ago=80)
    log("FINISHED", ago=70, loss=[1.0, math.nan])
    log("FINISHED", ago=60, loss=[1.0, 0.5])
    assert kinds() == ["crashed", "killed", "not-finite"]


def test_ours_and_those_done_are_left_alone(log: Log, kinds: Kinds) -> None:
    log("FAILED", tags={VERDICT: "failed"})
    log("FAILED", tags={"agent.verdict": "failed"})
    log("FAILED", tags={"agent.trial": "0"})
    log("RUNNING", tags={"agent.verdict": "running"}, ago=10**6)
    assert kinds() == []


def test_a_dead_process_is_seen_at_once(log: Log, kinds: Kinds) -> None:
    own, gone = noted(os.getpid()), 2**22 + 1  # More than a pid can be.
    log("RUNNING", tags=own, ago=10**6)  # Alive, and silent for long.
    log("RUNNING", tags=own | {"agent.run.host": "elsewhere"})
    log("RUNNING", tags=own | {"agent.run.boot": "another"})
    assert kinds() == []
    log("RUNNING", tags=noted(gone))
    log("RUNNING", tags=own | {"agent.run.started": "1"})  # The number was given anew.
    assert kinds() == ["stale", "stale"]


@pytest.mark.parametrize("pid", ["", "-1", "\u00b2", "9" * 5000, "../1"])
def test_nonsense_for_a_process_is_none(log: Log, kinds: Kinds, pid: str) -> None:
    log("RUNNING", tags=noted(os.getpid(), pid=pid))
    assert kinds() == []


def test_a_run_of_elsewhere_is_dead_after_a_long_silence(log: Log, kinds: Kinds) -> None:
    log("RUNNING", tags=noted(os.getpid(), host="elsewhere"), ago=9 * 3600)
    log("RUNNING", ago=9 * 3600)
    log("RUNNING", ago=3600)
    assert kinds() == ["stale", "stale"]
    assert kinds(stale_after=1000.0) == ["stale"] * 3


def test_selection(log: Log, kinds: Kinds) -> None:
    log("FAILED", tags={"team": "vision"}, ago=10)
    log("FAILED", tags={"team": "audio"}, ago=20)
    log("FAILED", tags={"team": "vision"}, ago=10**5)
    assert len(kinds(tags=(("team", "vision"),))) == 2
    assert len(kinds(tags=(("team", "vision"),), age=3600.0)) == 1


def test_what_the_user_calls_sick(log: Log, kinds: Kinds) -> None:
    log(val_acc=[0.4])
    log(val_acc=[0.6])
    assert kinds(where="metrics.val_acc < 0.5") == ["where"]
    with pytest.raises(UsageError, match="does not understand"):
        kinds(where="metrics.val_acc OR")


def test_settled_runs_are_not_read_again(
    log: Log, kinds: Kinds, tracking: Tracking, experiment: str
) -> None:
    for ago in range(20000, 20010):
        log(ago=ago)
    scan = Scan(tracking, experiment, Selection())
    assert list(scan.cases()) == [] and scan.seen == 10
    scan.settle(())
    late = log("FAILED", ago=7200)
    scan = Scan(tracking, experiment, Selection())
    cases = list(scan.cases())
    assert [case.run.run_id for case in cases] == [late.run_id] and scan.seen == 1
    scan.settle(cases)  # It is not done: it must be found again.
    assert kinds() == ["crashed"]
    assert kinds(where="metrics.x < 1") == ["crashed"]  # Another selection, another mark.


def test_a_new_run_is_compared_with_those_before_the_mark(log: Log, kinds: Kinds) -> None:
    good = [0.1, 0.5, 0.8, 0.85, 0.9]
    for ago in range(20000, 20006):
        log(ago=ago, val_acc=good)
    assert kinds(settle=True) == []
    log(ago=9000, val_acc=[0.1, 0.12, 0.11, 0.13, 0.12])
    assert kinds() == ["behind"]


def test_a_run_that_is_entered_late_is_not_lost(log: Log, kinds: Kinds) -> None:
    log(ago=60)
    assert kinds(settle=True) == []
    log("FAILED", ago=1800)
    assert kinds() == ["crashed"]


def scanned(runs: int) -> tuple[float, int]:
    """Seconds of the processor and MiB that a scan takes, the making of the store included."""
    command = [sys.executable, "-m", "tests.benchmarks.triage_scan", str(runs)]
    before = os.times().children_user
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    first, again = told.splitlines()
    assert first.startswith(f"{runs} runs seen, {runs // 500} need help")
    assert again.startswith("0 runs seen")
    memory = re.search(r"([+-]\d+) MiB$", first)
    assert memory is not None
    return os.times().children_user - before, int(memory[1])


@pytest.mark.slow
def test_a_long_history_is_read_in_seconds_with_flat_memory() -> None:
    """To keep what is read would take 9 MiB for each 1,000 runs."""
    _, little = scanned(1000)
    seconds, much = scanned(5000)
    assert much - little < 18  # 4 x 9 is 36
    assert seconds < 60
