"""The command that is said to repeat a diagnosis asks for the same again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.command_line import command_line


@pytest.mark.parametrize(
    "words",
    [
        ["train.py"],
        ["train.py", "--lr", "0.1", "a b", "$HOME"],
        ["--metric", "val acc:max", "--seeds", "5", "--budget", "7.5", "--observe", "train.py"],
        ["--only", "P101", "--only", "R101", "--skip", "P102", "--try", "R301", "train.py"],
        ["--no-experience", "--policy", "random", "train.py"],
        ["--good", "--lr '0.1 2'", "train.py", "--lr", "3"],
        ["--timeout", "12.5", "--max-steps", "100", "--cpus", "2", "--memory", "2GB", "train.py"],
        ["--max-batches-per-epoch", "3", "--gpus", "0.5", "--time-budget", "60", "train.py"],
    ],
)
def test_it_makes_the_same_request(controller: Any, words: list[str]) -> None:
    assert main(["diagnose", "--quiet", *words]) == 0
    told = command_line(controller.request)
    folder, agent = told.split(" && ", 1)
    assert folder == f"cd {shlex.quote(str(Path.cwd()))}"
    assert shlex.split(agent)[:2] == ["agent", "diagnose"]
    assert main(["diagnose", "--quiet", *shlex.split(agent)[2:]]) == 0
    assert controller.requests[0] == controller.requests[1]
