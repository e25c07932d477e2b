"""The early checks: what cannot work is said in one line, before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli import main

if TYPE_CHECKING:
    from tests.agent.conftest import FakeController


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian.py"], "no such file: trian.py. Did you mean train.py?"),
        (["sub/train.py"], "no such file: sub/train.py (there is no folder sub)"),
        (["folder"], "folder is a folder: name the script in it, for example folder/inner.py"),
        (["broken.py"], "broken.py:2: invalid syntax: x = = 1"),
        (["binary.py"], "null bytes"),
        (["latin.py"], "latin.py:1: invalid or missing encoding declaration"),
        (["book.ipynb"], "jupyter nbconvert --to script book.ipynb"),
        (["--json", "no/such/file", "train.py"], "cannot write to no/such/file"),
        (["--patch", ".", "train.py"], "cannot write to ."),
    ],
)
def test_what_cannot_be_read_or_written_is_one_line_before_anything_starts(
    controller: FakeController,
    complaint: Callable[[], str],
    arguments: list[str],
    said: str,
) -> None:
    Path("broken.py").write_text("ok = 1\nx = = 1\n")
    Path("binary.py").write_bytes(b"x = 1\0\n")
    Path("latin.py").write_bytes(b"# caf\xe9\nx = 1\n")
    Path("book.ipynb").write_text("{}")
    Path("folder").mkdir()
    Path("folder/inner.py").write_text("")
    assert main(["diagnose", *arguments]) == 2
    assert said in complaint()
    assert controller.requests == []


def test_a_script_that_may_not_be_read(
    controller: FakeController, complaint: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert main(["diagnose", "train.py"]) == 2
    assert complaint() == "agent: cannot read train.py: Permission denied"


def test_warnings_of_the_script_are_not_ours(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("train.py").write_text("x = '\\d'\n")
    assert main(["diagnose", "--quiet", "train.py"]) == 0
    assert capsys.readouterr().err == ""
