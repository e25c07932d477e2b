"""When a trial is the same as one that was run before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.identity import identity
from agent.snapshot import Snapshot
from agent.workload import Limits, Workload


def identify(folder: Path, *args: str, large: int = 1000, **limits: int) -> str:
    workload = Workload(
        script=folder / "train.py", args=args, directory=folder, limits=Limits(**limits)
    )
    return identity(workload, Snapshot.take(folder, folder / "train.py", large))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print(1)")
    (tmp_path / "data.csv").write_text("1,2")
    (tmp_path / "large.bin").write_bytes(bytes(2000))
    return tmp_path


def test_it_is_the_same_for_the_same_files_written_again(folder: Path) -> None:
    before = identify(folder)
    (folder / "train.py").write_text("print(1)")
    os.utime(folder / "data.csv", (1, 1))
    assert identify(folder) == before
    assert identify(folder, timeout=5) == before  # What it may take does not change what it does.


def test_it_is_another_one_for_other_files_arguments_limits_and_environments(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {identify(folder), identify(folder, "--lr", "1"), identify(folder, "--lr", "2")}
    seen |= {identify(folder, max_steps=5), identify(folder, cpus=2)}
    (folder / "data.csv").write_text("1,3")
    seen.add(identify(folder))
    (folder / "large.bin").write_bytes(bytes(3000))  # Linked, not read.
    seen.add(identify(folder))
    monkeypatch.setenv("LEARNING_RATE", "0.1")
    seen.add(identify(folder))
    assert len(seen) == 8


def test_the_terminal_that_it_was_asked_from_makes_no_difference(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identify(folder)
    for name in ("TERM", "COLUMNS", "SSH_CONNECTION", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "another")
    assert identify(folder) == before
