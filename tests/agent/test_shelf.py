"""The folder of the traces of a diagnosis goes with it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agent.shelf import shelf


def test_a_shelf_is_removed_with_what_is_on_it(tmp_path: Path) -> None:
    with shelf(tmp_path) as folder:
        (folder / "1").mkdir()
        assert folder.is_relative_to(tmp_path) and folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_what_was_left_is_removed_a_week_later(tmp_path: Path) -> None:
    left, lately = tmp_path / "traces" / "left", tmp_path / "traces" / "lately"
    for folder in (left, lately):
        folder.mkdir(parents=True)
        (folder / "trace.parquet").touch()
    old = time.time() - 8 * 24 * 3600
    os.utime(left, (old, old))
    with shelf(tmp_path):
        assert lately.exists() and not left.exists()


def test_a_home_that_cannot_be_written_is_not_told_here(tmp_path: Path) -> None:
    (tmp_path / "traces").touch()
    with shelf(tmp_path) as folder:
        assert folder.exists()
    assert not folder.exists()
