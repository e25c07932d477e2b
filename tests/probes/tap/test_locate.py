"""Which files are the user's, and how places in them are named."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest

from probes.tap.locate import Sources


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path / "work", tmp_path / "elsewhere" / "scripts")


def test_a_script_outside_of_the_working_directory_is_the_users(
    sources: Sources, tmp_path: Path
) -> None:
    assert sources.name(str(tmp_path / "elsewhere" / "scripts" / "train.py")) == "train.py"
    assert sources.name(str(tmp_path / "work" / "lib" / "nets.py")) == "lib/nets.py"
    assert sources.name(str(tmp_path / "elsewhere" / "other.py")) is None


def test_the_folder_of_the_script_names_its_files_within_the_working_directory(
    tmp_path: Path,
) -> None:
    sources = Sources(tmp_path, tmp_path / "scripts")
    assert sources.name(str(tmp_path / "scripts" / "train.py")) == "train.py"
    assert sources.name(str(tmp_path / "train.py")) == "train.py"


def test_generated_code_and_libraries_are_not_the_users(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert sources.name("<string>") is None
    assert sources.name(os.path.join(sysconfig.get_paths()["stdlib"], "json", "tool.py")) is None


def test_the_line_at_work_is_the_innermost_one_of_the_user(
    sources: Sources, tmp_path: Path
) -> None:
    path = str(tmp_path / "work" / "train.py")
    found: list[str | None] = []
    code = "def helper():\n    generated()\n\nhelper()"
    generated = eval("lambda: found.append(sources.line())", {"found": found, "sources": sources})
    exec(compile(code, path, "exec"), {"generated": generated})
    assert found == ["train.py:2"]
