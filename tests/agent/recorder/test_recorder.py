"""What MLflow notes of the runs of an unmodified script, in an environment that has our package."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.recorder.facts import process_identity
from agent.recorder.provider import ReproducibleRun

ROOT = Path(__file__).parents[3]
Run = Any

pytestmark = pytest.mark.xdist_group("recorder")  # What they look at is made but once.

# Forks once for each case, and goes on as if it had been started for that alone: the import of
# MLflow is what takes the time.
SCRIPT = """
    import os, sys
    import mlflow
    import agent  # their own

    assert agent.theirs
    for how in sys.argv.pop(1).split(","):
        if os.fork() == 0:
            break
        os.wait()
    else:
        os._exit(0)
    mlflow.start_run(run_name=how)
    if how == "raise":
        raise ValueError("bad s3cret-value")
    if how == "exit":
        sys.exit(3)
    if how == "caught":
        try:
            sys.exit(3)
        except SystemExit:
            pass
    if how == "with":
        mlflow.end_run()
        with mlflow.start_run(run_name="inner"):
            raise KeyError("k")
    if how == "interrupt":
        raise KeyboardInterrupt
    """
CASES = "ok,raise,exit,caught,with,interrupt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "train.py").write_text(textwrap.dedent(SCRIPT))
    (folder / "agent.py").write_text("theirs = True\n")
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -q -m x"):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)
    with (folder / "agent.py").open("a") as file:
        file.write("changed = True\n")
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path, installed: dict[str, str]) -> dict[str, Run]:
    """The runs by name."""
    uri = f"sqlite:///{folder}/runs.db"
    command = [sys.executable, "train.py", CASES, "--lr", "0.1", "--api-key", "s3cret-value"]
    environment = installed | {"MLFLOW_TRACKING_URI": uri, "PWD": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    from mlflow import MlflowClient

    return {run.info.run_name: run for run in MlflowClient(uri).search_runs(["0"])}


@pytest.mark.parametrize(
    ("name", "status", "ending", "line"),
    [
        ("ok", "FINISHED", None, None),
        ("caught", "FINISHED", None, None),
        ("raise", "FAILED", "ValueError: bad ***", "train.py:15"),
        ("exit", "FAILED", "exit 3", None),
        ("with", "FINISHED", None, None),
        ("inner", "FAILED", "KeyError: 'k'", "train.py:26"),
        ("interrupt", "KILLED", "KeyboardInterrupt", "train.py:28"),
    ],
)
def test_a_run_is_closed_as_its_process_ended(
    runs: dict[str, Run], name: str, status: str, ending: str | None, line: str | None
) -> None:
    tags = runs[name].data.tags
    assert runs[name].info.status == status
    assert tags.get("agent.run.ending") == ending
    assert tags.get("agent.run.line") == line


def test_a_run_says_how_to_start_it_again(runs: dict[str, Run], folder: Path) -> None:
    tags = runs["ok"].data.tags
    assert tags["agent.run.script"] == str(folder / "train.py")
    assert tags["agent.run.cwd"] == str(folder)
    assert tags["agent.run.python"] == sys.executable
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True)
    assert tags["agent.run.commit"] == head.stdout.strip()
    assert tags["agent.run.dirty"] == "true"
    assert json.loads(tags["agent.run.packages"])["mlflow"]
    assert tags["agent.run.host"] == socket.gethostname()
    assert int(tags["agent.run.pid"]) > 0


def test_arguments_are_the_given_ones_without_secrets(runs: dict[str, Run]) -> None:
    given = [CASES, "--lr", "0.1", "--api-key", "***"]
    assert json.loads(runs["ok"].data.tags["agent.run.argv"]) == given
    assert "s3cret-value" not in str([run.data.tags for run in runs.values()])


def test_a_process_is_not_taken_for_another_one() -> None:
    own = process_identity(os.getpid())
    assert own["started"]
    assert process_identity(1)["started"] != own["started"]
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert process_identity(child.pid)["started"]
    child.wait()
    assert process_identity(child.pid)["started"] == ""


def test_nothing_is_noted_in_a_trial(run_script: Any, folder: Path, write_trial: Path) -> None:
    trace = run_script(write_trial)
    assert list(trace.metrics["in_trial"])[-1][1] == 1


@pytest.fixture
def write_trial(tmp_path: Path) -> Path:
    script = tmp_path / "own" / "train.py"
    script.parent.mkdir()
    script.write_text(
        "import os, subprocess, sys\n"
        "asks = 'import os; print(int(\"DEBUGGING_AGENT_TRIAL\" in os.environ))'\n"
        "told = subprocess.run([sys.executable, '-c', asks], capture_output=True, text=True)\n"
        "print(f'in_trial={told.stdout}')\n"
    )
    return script


def test_a_trial_is_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    main = type(sys)("__main__")
    main.__file__ = "/project/train.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert ReproducibleRun().in_context()
    monkeypatch.setenv("DEBUGGING_AGENT_TRIAL", "1")
    assert not ReproducibleRun().in_context()


def test_an_unreadable_script_spoils_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    main = type(sys)("__main__")
    main.__file__ = "/nowhere/train.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    leave = sys.exit
    assert ReproducibleRun().tags() == {}
    assert sys.exit is leave


def test_the_entry_point_is_light_and_leaves_the_name_agent_free() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (target,) = project["entry-points"]["mlflow.run_context_provider"].values()
    asks = (
        "import sys, importlib\n"
        f"module, _, name = {target!r}.partition(':')\n"
        "provider = getattr(importlib.import_module(module), name)\n"
        "assert provider().in_context() is False\n"
        "ours = {'agent', 'probes', 'torch', 'ray', 'optuna', 'mlflow', 'numpy', 'pydantic'}\n"
        "print(sorted(ours & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", asks], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
