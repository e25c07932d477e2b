"""`agent triage` on the command line."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.errors import InfrastructureError
from agent.triage import case_work
from agent.triage.case_work import Desk
from agent.triage.loop import Office, terminated_as_interrupted
from agent.triage.rerun import Terms
from agent.triage.runs import NOTE, VERDICT, Run
from agent.triage.sweep import Plan
from agent.triage.tracking import Tracking
from tests.agent.conftest import NASTY

Log = Callable[..., Run]
Triage = Callable[..., tuple[int, str, str]]


@pytest.fixture
def triage(
    tracking: Tracking,
    experiment: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Triage:
    """Runs the command on one experiment; gives exit code, stdout and stderr."""
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    name = tracking._client.get_experiment(experiment).name

    def triage(*options: str) -> tuple[int, str, str]:
        fixed = ["--tracking-uri", tracking.store.uri, "--experiment", name]
        code = main(["triage", *fixed, *options])
        return code, *capsys.readouterr()

    return triage


def test_nothing_needs_help(triage: Triage, log: Log, tmp_path: Path) -> None:
    log(loss=[1.0, 0.5])
    code, out, _ = triage()
    assert code == 0
    assert re.match(r"1 runs seen, 0 need help, 0 diagnosed, 0 left, \d+ s", out)
    (line,) = (tmp_path / "home" / "triage.log").read_text().splitlines()
    assert line.endswith(out.strip())


def test_something_does(triage: Triage, log: Log, tracking: Tracking, tmp_path: Path) -> None:
    run = log("FAILED", tags={"mlflow.runName": NASTY, NOTE: "mine"}, loss=[1.0, float("nan")])
    told = tmp_path / "told"
    code, out, err = triage("--notify", f"tee {told}")
    assert code == 1
    assert "1 diagnosed (1 failed), 0 left" in out and "FAILED" in out
    assert "\x1b" not in out + err and "\u202e" not in out + err
    assert run.run_id in told.read_text()
    assert tracking.run(run.run_id).tags[VERDICT] == "failed"
    assert triage()[0] == 0


def test_a_dry_run_changes_nothing(triage: Triage, log: Log, tracking: Tracking) -> None:
    run = log("FAILED", tags={"agent.run.ending": f"ValueError: {NASTY}"})
    code, out, _ = triage("--dry-run")
    assert code == 1
    assert "ValueError" in out and "read its metrics: it was started without our package" in out
    assert "\x1b" not in out and "[bold]x[/bold]" in out
    assert tracking.run(run.run_id) == run
    experiment = tracking._client.get_experiment(run.experiment_id)
    assert not any(name.startswith("agent.") for name in experiment.tags)


def test_options_are_those_of_the_diagnosis(
    triage: Triage, log: Log, noted: Any, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log("KILLED", tags=noted(write("train.py", "1")))
    seen = []

    def diagnose(recipe: object, terms: Any, asked: object, alive: object) -> None:
        seen.append(terms)

    monkeypatch.setattr(case_work, "diagnose", diagnose)
    code, out, _ = triage("--root", "project", "--budget", "5", "--timeout", "9", "--env", "A")
    assert code == 1 and "1 left" in out
    assert seen[0].options.items() >= {"budget": "5.0", "timeout": "9.0"}.items()
    assert int(seen[0].options["memory"]) > 2**20
    assert seen[0].environment == ("A",)


def test_only_the_current_folder_is_run_unless_told_otherwise(
    triage: Triage, log: Log, noted: Any, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log("KILLED", tags=noted(write("train.py", "1")))
    os.mkdir("elsewhere")
    monkeypatch.chdir("elsewhere")
    assert "is not below" in triage("--dry-run")[1]
    assert "diagnose" in triage("--dry-run", "--root", "..")[1]


@pytest.mark.parametrize(
    "options",
    [
        ("--every", "soon"),
        ("--cron", "1 2 3"),
        ("--once", "--every", "5m"),
        ("--since", "x"),
        ("--tag", "x"),
        ("--root", "nowhere"),
        ("--experiment", "no-such-experiment"),
        ("--notify", "no-such-command"),
        ("--where", "metrics.x OR y"),
    ],
)
def test_usage(triage: Triage, log: Log, options: tuple[str, ...]) -> None:
    code, _, err = triage(*options)
    assert code == 2
    assert err.startswith("agent: ") and err.count("\n") == 1


def test_sweeps_at_their_times(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(Desk(tracking, Terms(tracking.store.uri), tmp_path), Plan(), None, tmp_path)
    done: list[float] = []

    def sweep(self: Office) -> int:
        done.append(time.monotonic())
        if len(done) == 1:
            raise InfrastructureError("the store is away")
        return 0

    monkeypatch.setattr(Office, "sweep", sweep)
    now = datetime.now().astimezone()
    passed, soon = now - timedelta(hours=1), now + timedelta(seconds=0.3)
    office.sweep_at(iter([now, passed, soon]))
    assert len(done) == 2 and done[1] - done[0] > 0.2


def test_sigterm_ends_it_as_an_interrupt_does() -> None:
    before = signal.getsignal(signal.SIGTERM)  # Ray may have set one of its own.
    with pytest.raises(KeyboardInterrupt), terminated_as_interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) == before
