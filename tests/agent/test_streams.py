"""The streams: JSON alone on stdout, and no character that ends the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.cli import main
from agent.diagnosis import Diagnosis

if TYPE_CHECKING:
    from tests.agent.conftest import FakeController


def test_json_on_stdout_is_all_there_is_on_stdout(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.before = lambda: print("noise of a library")
    assert main(["diagnose", "--json", "-", "train.py"]) == 0
    captured = capsys.readouterr()
    assert Diagnosis.model_validate_json(captured.out) == controller.answer
    assert "HEALTHY" in captured.err and "noise of a library" in captured.err


def test_json_on_stdout_withstands_other_processes(
    controller: FakeController, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    controller.before = lambda: print(os.system("echo noise of a child"))
    with open(os.dup(1), "w") as out, open(os.dup(2), "w") as err:
        os.dup2(out.fileno(), 1)
        monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))
        monkeypatch.setattr(sys, "stderr", err)
        assert main(["diagnose", "--json", "-", "train.py"]) == 0
        print("back again", flush=True)
    captured = capfd.readouterr()
    document, _, rest = captured.out.rpartition("}\n")
    assert json.loads(document + "}")["verdict"] == "healthy"
    assert rest == "back again\n"
    assert "noise of a child" in captured.err


def test_a_terminal_that_cannot_show_our_characters_is_no_reason_to_fail() -> None:
    code = (
        "import sys; from agent.streams import make_streams_safe\n"
        "make_streams_safe(); print('0.1 → 0.9 é \\udce9')"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (done.returncode, done.stdout) == (0, b"0.1 > 0.9 ? ?\n")
