"""Diagnoses on a real MLflow server and a real PostgreSQL, and what becomes of them without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.diagnosis import Diagnosis, read_diagnosis
from agent.ledger.client import connect
from agent.store import Store
from tests.agent.test_controller import training
from tests.engines import PASSWORD, MlflowServer, Postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("engines")]

DIVERGES = textwrap.dedent(training("assert loss.item() < 1e9, 'diverged'", rate=2.0))
FAST = ("--slots=1", "--seeds=2")


@dataclass(frozen=True)
class Answer:
    """What a command has said."""

    code: int
    said: str
    file: Path

    @property
    def diagnosis(self) -> Diagnosis:
        return read_diagnosis(self.file.read_text())


class Desk:
    """Runs the command in a folder of its own, on a cluster that is there."""

    def __init__(self, folder: Path, cluster: str) -> None:
        self.folder, self.home, self._cluster = folder, folder / "home", cluster
        self._files = 0
        (folder / "project").mkdir()
        (folder / "project" / "train.py").write_text(DIVERGES)

    def start(self, *options: str, script: str = "train.py") -> subprocess.Popen[str]:
        """Begin a diagnosis."""
        self._files += 1
        file = self.folder / f"{self._files}.json"
        ours = ("diagnose", "--fresh", f"--json={file}", f"--address={self._cluster}", *FAST)
        return self._command(*ours, *options, script)

    def finish(self, process: subprocess.Popen[str]) -> Answer:
        """Wait for its end."""
        said = process.communicate(timeout=300)[0]
        words = process.args
        assert isinstance(words, list)
        files = [Path(word[7:]) for word in words if word.startswith("--json=")]
        return Answer(process.returncode, said, files[0] if files else self.folder)

    def run(self, *words: str) -> Answer:
        """Run another command of ours to its end."""
        return self.finish(self._command(*words))

    def _command(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "agent", *words],
            cwd=self.folder / "project",
            env={**os.environ, "AGENT_HOME": str(self.home)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture
def desk(tmp_path: Path, cluster: str) -> Desk:
    return Desk(tmp_path, cluster)


class Trials:
    """The trials that a store has of an experiment with one diagnosis."""

    def __init__(self, uri: str, experiment: str) -> None:
        self.client: Any = connect(Store(uri, None))
        self._experiment = experiment

    def runs(self) -> list[Any]:
        found = self.client.get_experiment_by_name(self._experiment)
        return list(self.client.search_runs([found.experiment_id])) if found else []

    def parent(self) -> Any:
        (run,) = [run for run in self.runs() if "agent.schema" in run.data.tags]
        return run

    def recorded(self) -> list[tuple[str, str]]:
        """Treatment and seed of those that are there to the end, without the patched script's."""
        tags = [r.data.tags for r in self.runs() if r.info.status != "RUNNING"]
        trials = [t for t in tags if "agent.trial" in t and t["agent.part"] != "patch"]
        return [(t["agent.treatment"], t["agent.seed"]) for t in trials]

    def wait_for(self, number: int, process: subprocess.Popen[str]) -> None:
        """Wait until so many are recorded, while a diagnosis runs."""
        deadline = time.monotonic() + 120
        while len(self.recorded()) < number:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def searches(postgres: Postgres) -> str:
    """A database for Optuna in which nobody has been."""
    return postgres.database("searches")


def cured_by(diagnosis: Diagnosis) -> tuple[str, dict[str, object]]:
    assert diagnosis.verdict == "fixed" and diagnosis.fix is not None
    (action,) = diagnosis.fix.treatment
    return action.name, dict(action.params)


def files_with_password(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.is_file() and PASSWORD.encode() in file.read_bytes():
            yield file


def test_a_server_and_a_database_come_to_the_same_fix_as_files(
    desk: Desk, mlflow_server: MlflowServer, postgres: Postgres, searches: str
) -> None:
    """Three at once: two that share an empty database, and one with stores of its own."""
    served = (f"--tracking-uri={mlflow_server.uri}", f"--storage={searches}")
    processes = [desk.start(*served), desk.start(*served), desk.start()]
    *shared, alone = (desk.finish(process) for process in processes)
    for answer in (*shared, alone):
        assert answer.code == 1 and PASSWORD not in answer.said, answer.said
    expected = cured_by(alone.diagnosis)
    assert expected[0] == "scale-learning-rate"
    assert [cured_by(answer.diagnosis) for answer in shared] == [expected] * 2
    runs = [answer.diagnosis.mlflow.run_id for answer in shared if answer.diagnosis.mlflow]
    with postgres.connected("searches") as connection:
        names = connection.execute("SELECT study_name FROM studies").fetchall()
        tried = connection.execute("SELECT count(*) FROM trials").fetchone()
    assert {name.split("-")[0] for (name,) in names} == set(runs) and len(set(runs)) == 2
    assert tried[0] >= 4
    store = Trials(mlflow_server.uri, "agent").client
    for run_id in runs:
        assert store.get_run(run_id).data.tags["agent.verdict"] == "fixed"
        paths = {file.path for file in store.list_artifacts(run_id)}
        assert {"diagnosis.json", "report"} <= paths


def test_what_was_killed_goes_on_without_repeating_a_trial(
    desk: Desk, mlflow_server: MlflowServer, searches: str
) -> None:
    trials = Trials(mlflow_server.uri, "killed")
    stores = (f"--tracking-uri={mlflow_server.uri}", f"--storage={searches}", "--experiment=killed")
    first = desk.start(*stores)
    trials.wait_for(3, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    known = trials.recorded()
    run_id = trials.parent().info.run_id
    second = desk.finish(desk.start(*stores, f"--resume={run_id}"))
    assert second.code == 1, second.said
    assert cured_by(second.diagnosis)[0] == "scale-learning-rate"
    recorded = trials.recorded()
    assert len(recorded) == len(set(recorded)) == second.diagnosis.cost.trials
    assert set(known) < set(recorded)
    assert trials.parent().info.status == "FINISHED"
    assert [run.info.status for run in trials.runs()].count("RUNNING") == 0


def test_a_server_that_goes_away_gets_everything_later(
    desk: Desk, mlflow_server: MlflowServer, searches: str
) -> None:
    trials = Trials(mlflow_server.uri, "away")
    stores = (f"--tracking-uri={mlflow_server.uri}", f"--storage={searches}", "--experiment=away")
    process = desk.start(*stores)
    trials.wait_for(2, process)
    run_id = trials.parent().info.run_id
    mlflow_server.kill()
    try:
        answer = desk.finish(process)
        assert answer.code == 1 and "spool" in answer.said, answer.said
        assert cured_by(answer.diagnosis)[0] == "scale-learning-rate"
        spool = desk.home / "spool"
        assert [folder.name for folder in spool.iterdir()] == [run_id]
        assert not list(files_with_password(desk.folder))
        assert desk.run("sync", f"--tracking-uri={mlflow_server.uri}").code == 4
    finally:
        mlflow_server.start()
    sync = desk.run("sync", f"--tracking-uri={mlflow_server.uri}")
    assert sync.code == 0 and run_id in sync.said, sync.said
    assert not list(spool.iterdir())
    parent, recorded = trials.parent(), trials.recorded()
    assert parent.info.run_id == run_id and parent.data.tags["agent.verdict"] == "fixed"
    assert len(recorded) == len(set(recorded)) == answer.diagnosis.cost.trials
    assert [run.info.status for run in trials.runs()].count("RUNNING") == 0
    told = desk.run("report", run_id, f"--tracking-uri={mlflow_server.uri}")
    assert told.code == 0 and "scale-learning-rate" in told.said


def test_mlflow_may_be_the_database_itself(
    desk: Desk, mlflow_server: MlflowServer, postgres: Postgres
) -> None:
    """The server has made its tables; whoever knows the password needs no server."""
    uri = f"--tracking-uri={postgres.url('mlflow')}"
    answer = desk.finish(desk.start(uri, "--experiment=direct", "--observe", "-v"))
    assert answer.code == 1, answer.said
    assert answer.diagnosis.mlflow is not None
    assert answer.diagnosis.mlflow.tracking_uri.startswith("postgresql://***@127.0.0.1:")
    told = desk.run("report", answer.diagnosis.mlflow.run_id, uri)
    assert "P301" in told.said
    assert PASSWORD not in answer.said + told.said
    assert not list(files_with_password(desk.folder))


@pytest.mark.parametrize("password", ["gu/ess", "gu@ess"])
@pytest.mark.parametrize("option", ["--tracking-uri", "--storage"])
def test_a_wrong_password_is_told_in_one_line_without_it(
    desk: Desk, postgres: Postgres, option: str, password: str
) -> None:
    wrong = postgres.url("postgres").replace(PASSWORD, password)
    answer = desk.finish(desk.start(f"{option}={wrong}", "--quiet"))
    (line,) = answer.said.strip().splitlines()
    if "@" in password:
        assert answer.code == 2 and "write an @ in a password as %40" in line
    else:
        assert answer.code == 4 and "password authentication failed" in line
    assert "ess" not in line and "gu" not in line
