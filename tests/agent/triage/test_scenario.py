"""What a person would see: a folder with a script, some of whose runs went wrong over night."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines import MlflowServer

Run = Any

SCRIPT = """
    import argparse
    import pathlib
    import time

    import mlflow
    import torch
    from torch import nn

    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--top", type=int, default=1)
    parser.add_argument("--name", default=None)
    args = parser.parse_args()

    torch.manual_seed(0)
    centres = 1.5 * torch.randn(4, 16)
    kinds = torch.randint(4, (640,))
    points = centres[kinds] + torch.randn(640, 16)
    model = nn.Sequential(nn.Linear(16, args.width), nn.ReLU(), nn.Linear(args.width, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)

    mlflow.start_run(run_name=args.name)
    mlflow.log_params({"lr": args.lr, "momentum": args.momentum, "width": args.width})
    for epoch in range(8):
        for rows in torch.randperm(512).split(32):
            loss = nn.functional.cross_entropy(model(points[rows]), kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            guesses = model(points[512:]).topk(args.top).indices
        accuracy = (guesses == kinds[512:, None]).any(1).float().mean().item()
        mlflow.log_metrics({"train_loss": loss.item(), "val_acc": accuracy}, step=epoch)
        pathlib.Path("last.txt").write_text(f"{args.name} {epoch}")
        time.sleep(0.1)
    """


class Project:
    """A folder with a script, its store, and an environment that has our package.

    Args:
        folder: Where the script is to lie.
        environment: Of the processes.
        uri: The store; None for a file in the folder.
        experiment: Of the script, where it shares the store with others.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        uri: str | None = None,
        experiment: str | None = None,
    ) -> None:
        self.folder = folder
        self.experiment = experiment or "Default"
        self.recorded_in = f"diagnoses of {experiment}" if experiment else "agent"
        ours = (f"--experiment={self.experiment}", f"--record-in={self.recorded_in}")
        self._options = ours if experiment else ()
        self.uri = uri or f"sqlite:///{folder}/runs.db"
        self.environment = environment | {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_EXPERIMENT_NAME": self.experiment,
            "AGENT_HOME": str(folder.parent / "home"),
            "PWD": str(folder),
            "OMP_NUM_THREADS": "1",
        }
        (folder / "train.py").write_text(textwrap.dedent(SCRIPT))

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def train(self, name: str, *arguments: str) -> None:
        self.start("train.py", "--name", name, *arguments).communicate(timeout=300)

    def kill_in_the_middle(self, name: str) -> None:
        process = self.start("train.py", "--name", name)
        last = self.folder / "last.txt"
        while not last.read_text().startswith(name) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def triage(self, *options: str) -> subprocess.Popen[str]:
        code = "import sys; from agent.cli import main; sys.exit(main())"
        return self.start("-c", code, "triage", *self._options, *options)

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    def runs(self) -> dict[str, Run]:
        experiment = self.client.get_experiment_by_name(self.experiment).experiment_id
        return {run.info.run_name: run for run in self.client.search_runs([experiment])}

    def diagnoses(self) -> Iterator[Run]:
        experiment = self.client.get_experiment_by_name(self.recorded_in)
        if experiment is None:
            return
        for run in self.client.search_runs([experiment.experiment_id]):
            if "agent.verdict" in run.data.tags:
                yield run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, installed: dict[str, str]) -> Project:
    folder = tmp_path_factory.mktemp("scenario") / "project"
    folder.mkdir()
    project = Project(folder, installed)
    project.train("good")
    project.train("good too", "--width", "48")
    project.train("bad", "--lr", "9", "--width", "48")
    project.train("crashed", "--top", "5")
    project.kill_in_the_middle("killed")
    add_stale(project)
    return project


def add_stale(project: Project) -> None:
    """A run of another machine, which has said nothing for a night."""
    tags = dict(project.runs()["good"].data.tags) | {
        "agent.run.host": "elsewhere",
        "mlflow.runName": "stale",
    }
    began = round(1000 * (time.time() - 9 * 3600))
    project.client.create_run("0", start_time=began, tags=tags, run_name="stale")


def kill_at_work(project: Project, process: subprocess.Popen[str]) -> None:
    """Kill a triage process in the middle of a diagnosis."""
    began = time.monotonic()
    mine = f'"pid": "{process.pid}"'
    while process.poll() is None and time.monotonic() - began < 300:
        leases = (run.data.tags.get("agent.triage.lease", "") for run in project.runs().values())
        if any(mine in lease for lease in leases) and list(project.diagnoses()):
            time.sleep(5.0)
            break
        time.sleep(0.5)
    process.kill()
    process.communicate()


def contents(run: Run) -> str:
    """All of a run, as text: NaN is not equal to itself."""
    data = sorted(run.data.tags.items()), sorted(run.data.metrics.items())
    return repr((run.info.status, run.info.end_time, data))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_run_that_needs_help_gets_one_diagnosis(project: Project) -> None:
    before = {name: contents(run) for name, run in project.runs().items()}
    where = ("--where", "metrics.val_acc < 0.5", "--slots", "1", "--budget", "12")

    planned = project.triage("--dry-run", *where).communicate(timeout=300)[0]
    assert planned.count("diagnose") == 3 and planned.count("observe") == 1, planned
    assert {name: contents(run) for name, run in project.runs().items()} == before

    first, second = (project.triage(*where) for _ in range(2))
    kill_at_work(project, first)
    third = project.triage(*where)
    told = second.communicate(timeout=800)[0] + third.communicate(timeout=800)[0]
    last = project.triage(*where)  # What was held by somebody else a moment ago, if anything.
    told += last.communicate(timeout=800)[0]
    assert {process.returncode for process in (second, third, last)} <= {0, 1}, told

    runs = project.runs()
    tags = {name: run.data.tags for name, run in runs.items()}
    verdicts = {name: found.get("agent.triage.verdict") for name, found in tags.items()}
    assert verdicts == {
        "good": None,
        "good too": None,
        "bad": "fixed",
        "crashed": "failed",
        "killed": "healthy",
        "stale": "healthy",
    }, told
    for name in ("good", "good too"):
        assert contents(runs[name]) == before[name]

    subjects = [run.data.tags["agent.subject"] for run in project.diagnoses()]
    ids = [runs[name].info.run_id for name in ("bad", "crashed", "killed", "stale")]
    assert sorted(subjects) == sorted(ids)
    for name in ("bad", "crashed", "killed", "stale"):
        diagnosis = project.client.get_run(tags[name]["agent.triage.diagnosis"]).data.tags
        assert runs[name].info.run_id in diagnosis["mlflow.note.content"]
        assert tags[name]["agent.triage.diagnosis"] in tags[name]["mlflow.note.content"]
    assert "--lr" in tags["bad"]["mlflow.note.content"]
    assert "RuntimeError" in tags["crashed"]["mlflow.note.content"]
    assert "train.py:34" in tags["crashed"]["mlflow.note.content"]
    assert runs["killed"].info.status == "KILLED"
    assert runs["stale"].info.status == "RUNNING"  # Nobody knows whether it lives.

    again = project.triage(*where)
    assert "0 need help" in again.communicate(timeout=300)[0]
    assert again.returncode == 0
    assert os.listdir(project.folder).count("last.txt") == 1


@pytest.mark.slow
@pytest.mark.xdist_group("engines")
def test_two_at_once_on_a_server_diagnose_each_run_once(
    tmp_path: Path, installed: dict[str, str], mlflow_server: MlflowServer, cluster: str
) -> None:
    """Here no lock on a file helps: what decides is the lease in the tags of the server's runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, installed, mlflow_server.uri, "over the server")
    for name in ("one", "two"):
        project.train(name, "--top", "5")
    assert {run.info.status for run in project.runs().values()} == {"FAILED"}

    both = [project.triage(f"--address={cluster}", "--slots=1") for _ in range(2)]
    told = "".join(process.communicate(timeout=300)[0] for process in both)
    last = project.triage(f"--address={cluster}", "--slots=1")  # What was held a moment ago.
    told += last.communicate(timeout=300)[0]
    assert {process.returncode for process in (*both, last)} <= {0, 1}, told

    runs, found = project.runs(), list(project.diagnoses())
    subjects = sorted(run.data.tags["agent.subject"] for run in found)
    assert subjects == sorted(run.info.run_id for run in runs.values()), told
    for run in runs.values():
        tags = run.data.tags
        assert tags["agent.triage.verdict"] == "failed" and not tags["agent.triage.lease"]
        assert "RuntimeError" in tags["mlflow.note.content"]
        assert f"{project.uri}/#/experiments/" in tags["mlflow.note.content"]
        diagnosis = project.client.get_run(tags["agent.triage.diagnosis"]).data.tags
        assert run.info.run_id in diagnosis["mlflow.note.content"]
