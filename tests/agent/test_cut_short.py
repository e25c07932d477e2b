"""A diagnosis that is interrupted, or has no disk any more: a clear end, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from agent.cut_short import cut_short
from agent.errors import Interrupted
from tests.agent.test_controller import training
from tests.agent.test_launch import gone, processes_of
from tests.machines import can_mount, on_a_small_disk

pytestmark = pytest.mark.slow

CHILD = """
    import subprocess, sys
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", sys.argv[1]])
"""
CHECK = "assert loss.item() < 1e9, 'diverged'"
SLOW = f"time.sleep(0.02); {CHECK}"


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for temporary files with a path that is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="cut-", dir="/tmp") as name:
        yield Path(name)


def test_ctrl_c_tells_what_is_known_and_leaves_nothing(tmp_path: Path, scratch: Path) -> None:
    marker = f"marker-{tmp_path.name}-{os.getpid()}"
    script, home = tmp_path / "train.py", tmp_path / "home"
    script.write_text(textwrap.dedent(CHILD + training(SLOW, rate=2.0)))
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "diagnose", "--slots=1", str(script), marker],
        cwd=tmp_path,
        env={**os.environ, "AGENT_HOME": str(home), "TMPDIR": str(scratch), "TEST_MARKER": marker},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "recovers" in line:
            break
    assert len(processes_of(marker)) > 5, "".join(lines)
    os.killpg(process.pid, signal.SIGINT)  # As a terminal does: to all of them.
    answer, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "non-finite-training" in answer and "scale-learning-rate" in answer
    last = said.strip().splitlines()[-1]
    assert last.startswith("agent: interrupted; to go on: --resume ")
    assert "Traceback" not in said
    client: Any = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    assert client.get_run(last.split()[-1]).info.status == "KILLED"
    assert gone(marker, within=30), processes_of(marker)
    assert {path.name.partition("_")[0] for path in scratch.iterdir()} <= {"torchinductor"}


def test_what_breaks_when_a_library_is_interrupted_is_the_interrupt() -> None:
    try:
        try:
            raise KeyboardInterrupt
        finally:
            raise FileNotFoundError("a lock that was just taken")
    except FileNotFoundError as error:
        assert isinstance(cut_short(error, "", lambda: None), Interrupted)
    other = FileNotFoundError()
    assert cut_short(other, "", lambda: None) is other


@dataclass(frozen=True)
class Full:
    """What has a small disk of its own, and what is said when that is full.

    Attributes:
        disks: Folders, from the project, and their sizes, in kilobytes.
        database: Where MLflow's lies.
        code: The exit code.
        said: The end of the last line.
    """

    disks: dict[str, int]
    database: str
    code: int
    said: str


@pytest.mark.parametrize(
    "full",
    [
        pytest.param(Full({"home": 4}, "mlflow.db", 4, "No space"), id="no-search"),
        pytest.param(
            # Enough for MLflow to begin with, and too little for a diagnosis.
            Full({"store": 1150, "home/spool": 4}, "store/mlflow.db", 1, "record is incomplete"),
            id="no-record",
        ),
    ],
)
def test_a_full_disk_is_a_clear_end(tmp_path: Path, cluster: str, full: Full) -> None:
    if not can_mount():
        pytest.skip("no small disk can be made here (unshare --mount)")
    (tmp_path / "train.py").write_text(textwrap.dedent(training(CHECK, rate=2.0)))
    words = [sys.executable, "-m", "agent", "diagnose", f"--address={cluster}", "--slots=1"]
    for folder, kilobytes in full.disks.items():
        (tmp_path / folder).mkdir(parents=True)
        words = [*on_a_small_disk(tmp_path / folder, kilobytes), *words]
    answer = subprocess.run(
        [*words, "--seeds=2", f"--tracking-uri=sqlite:///{full.database}", "train.py"],
        cwd=tmp_path,
        env={**os.environ, "AGENT_HOME": str(tmp_path / "home")},
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert "unexpected" not in answer.stderr and "Traceback" not in answer.stderr
    assert answer.returncode == full.code, answer.stderr
    assert full.said in answer.stderr.strip().splitlines()[-1]
    assert ("FIXED" in answer.stdout) == (full.code == 1)
