"""Diagnoses on a cluster of several nodes, one of which goes away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from agent.diagnosis import Diagnosis, read_diagnosis
from tests.agent.test_controller import training
from tests.machines import Machines, Node, can_mount, started

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nodes")]

# Says on which node it runs: every process of a node descends from the node's raylet.
WHERE = """
    import os, psutil, settings
    node = next(p.pid for p in psutil.Process().parents() if p.name() == "raylet")
    def tell(what):
        with open(os.environ["TOLD"], "a") as file:
            file.write(f"{what} {node}\\n")
    tell("begins")
"""
EVERY_STEP = "time.sleep(0.06); assert loss.item() < 1e9, tell('ends') or 'diverged'"
_LONG = 1.5
"""Seconds that no trial takes which diverges; any other takes twice as long, and is still there."""
SCRIPT = WHERE + training(EVERY_STEP).replace("0.05", "settings.RATE") + "    tell('ends')\n"


class Cluster:
    """A head that runs nothing, and two nodes of one core; for one of them the project is hidden.

    Attributes:
        hides: Whether that could be done.
    """

    def __init__(self, folder: Path, machines: Machines) -> None:
        self.folder, self.project = folder, folder / "project"
        self.hides = can_mount()
        self._machines = machines
        self.address = machines.address
        self.told = folder / "told"
        self.told.touch()
        self.project.mkdir()
        (self.project / "settings.py").write_text("RATE = 2.0\n")
        (self.project / "train.py").write_text(textwrap.dedent(SCRIPT))
        self.near: Node = machines.add(cpus=1)
        self.far: Node = machines.add(cpus=1, hidden=self.project if self.hides else None)

    def diagnose(self, *options: str) -> subprocess.Popen[str]:
        words = (
            "--fresh",
            "--seeds=2",
            "--only=scale-learning-rate",
            f"--json={self.folder / 'told.json'}",
            *options,
            "train.py",
        )
        return subprocess.Popen(
            [sys.executable, "-m", "agent", "diagnose", f"--address={self.address}", *words],
            cwd=self.project,
            env={**os.environ, "AGENT_HOME": str(self.folder / "home"), "TOLD": str(self.told)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def end_head(self) -> None:
        for process in psutil.Process(self._machines.nodes[0].pid).children():
            if process.name() == "gcs_server":
                process.kill()

    def trials(self) -> list[tuple[str, int]]:
        """What trials have told: that they begin or end, and the raylet of their node."""
        pairs = (line.split() for line in self.told.read_text().splitlines())
        return [(what, int(raylet)) for what, raylet in pairs]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(cpus=0) as machines:
        yield Cluster(tmp_path_factory.mktemp("nodes"), machines)


@dataclass(frozen=True)
class Survival:
    """A diagnosis that has lost the near node in the middle of a trial."""

    near: int
    far: int
    code: int
    said: str
    diagnosis: Diagnosis
    trials: list[tuple[str, int]]


@pytest.fixture(scope="module")
def survival(nodes: Cluster) -> Survival:
    near, far = nodes.near.raylet.pid, nodes.far.raylet.pid
    process = nodes.diagnose()
    deadline = time.monotonic() + 300
    runs_since = time.monotonic()
    while time.monotonic() < runs_since + _LONG:
        if nodes.trials().count(("begins", near)) == nodes.trials().count(("ends", near)):
            runs_since = time.monotonic()
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.02)
    nodes.near.kill()
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 1, said
    diagnosis = read_diagnosis((nodes.folder / "told.json").read_text())
    return Survival(near, far, process.returncode, said, diagnosis, nodes.trials())


def test_a_lost_node_costs_no_more_than_its_trial(nodes: Cluster, survival: Survival) -> None:
    diagnosis = survival.diagnosis
    assert diagnosis.verdict == "fixed" and diagnosis.fix is not None
    assert [action.name for action in diagnosis.fix.treatment] == ["scale-learning-rate"]
    began = [node for what, node in survival.trials if what == "begins"]
    ended = [node for what, node in survival.trials if what == "ends"]
    assert began.count(survival.near) == ended.count(survival.near) + 1
    assert began.count(survival.far) == ended.count(survival.far)
    assert "is run again, its host was lost" in survival.said

    client: Any = MlflowClient(f"sqlite:///{nodes.folder / 'home' / 'mlflow.db'}")
    assert diagnosis.mlflow is not None
    runs = client.search_runs([diagnosis.mlflow.experiment_id], "tags.`agent.trial` != ''")
    tried = [run for run in runs if run.data.tags["agent.part"] != "patch"]
    assert len(tried) == diagnosis.cost.trials
    assert {run.data.tags["agent.ending"] for run in runs} <= {"completed", "raised"}
    notes = []
    for run in runs:
        file = client.download_artifacts(run.info.run_id, "trace.json", str(nodes.folder))
        events = json.loads(Path(file).read_text())
        notes += [event["text"] for event in events if event["event"] == "note"]
    assert len([note for note in notes if "its host was lost" in note]) == 1


def test_trials_are_placed_on_both_nodes(survival: Survival) -> None:
    assert {node for _, node in survival.trials} == {survival.near, survival.far}


def test_a_node_that_has_none_of_the_files_gets_them(nodes: Cluster, survival: Survival) -> None:
    if not nodes.hides:
        pytest.skip("a folder cannot be hidden from a process here (unshare --mount)")
    assert survival.trials.count(("ends", survival.far)) >= 3


def test_what_no_node_has_is_told_at_once(nodes: Cluster, survival: Survival) -> None:
    process = nodes.diagnose("--gpus=1", "--memory=9TiB")
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 4
    asked = "no node of the Ray cluster has room for a trial of 1 CPU and 1 GPU and 9216.0 GiB"
    assert asked in said.splitlines()[-1]


def test_a_large_file_that_a_node_does_not_have_is_told(nodes: Cluster, survival: Survival) -> None:
    if not nodes.hides:
        pytest.skip("a folder cannot be hidden from a process here (unshare --mount)")
    with (nodes.project / "data.bin").open("wb") as file:
        file.truncate(64 * 2**20)
    process = nodes.diagnose()
    said = process.communicate(timeout=300)[0]
    (nodes.project / "data.bin").unlink()
    assert process.returncode == 4
    assert f"{nodes.project / 'data.bin'} is not there on node" in said.splitlines()[-1]


def test_a_cluster_that_goes_away_is_told(nodes: Cluster, survival: Survival) -> None:
    """Ray would end the process a minute later, with the exit code of a sick script."""
    before = len(nodes.trials())
    process = nodes.diagnose("--seeds=12", "--budget=100")  # Longer than a pulse may be missing.
    while len(nodes.trials()) == before:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    nodes.end_head()
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 4
    assert "does not answer any more; to go on: --resume" in said.splitlines()[-1]
