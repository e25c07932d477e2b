"""`agent mcp`: what it refuses before it serves, and what it hides from the scripts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import main
from agent.mcp import command


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--root", "nowhere"], "--root nowhere is no folder"),
        (["--budget", "12"], "give 13 or more"),
        (["--budget", "18", "--seeds", "5"], "give 19 or more"),
        (["--token-file", "token"], "can be read by others"),
        (["--http", "0.0.0.0:0"], "from outside"),
        (["--http", "here"], "write PORT or HOST:PORT"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    complaint: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_hide", lambda names: None)
    Path("token").write_text("0123456789abcdef")
    Path("token").chmod(0o644)
    assert main(["mcp", "--http", "0", *options]) == 2
    assert told in complaint()


def test_without_the_sdk_it_says_what_to_install(
    complaint: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["mcp", "--http", "0"]) == 2
    assert "pip install 'debugging-agent[mcp]'" in complaint()


def test_scripts_see_of_the_environment_what_they_are_let(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"HOME": "/me", "SECRET": "x", "WANDB_MODE": "offline"})
    command._hide(("WANDB_MODE",))
    assert os.environ == {"HOME": "/me", "WANDB_MODE": "offline"}
