"""Runs the command ``agent`` on a script, for the benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from tests.corpus import ROOT

Answer = dict[str, Any]

FURTHER = 10
"""From one seed base to the next: no trial of one shares a seed with another's."""


def diagnose(script: Path, args: tuple[str, ...], seed_base: int, *options: str) -> Answer:
    """The diagnosis of a script with its arguments, as JSON."""
    agent = Path(sys.executable).parent / "agent"
    with tempfile.TemporaryDirectory() as temporary:
        answer = Path(temporary) / "diagnosis.json"
        ours = ["--quiet", "--seed-base", str(seed_base), "--json", answer, *options]
        done = subprocess.run(
            [agent, "diagnose", *ours, script, *args], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        if done.returncode not in (0, 1):
            raise click.ClickException(f"{script} ended with exit code {done.returncode}")
        found: Answer = json.loads(answer.read_text())
        return found
