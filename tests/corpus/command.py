"""Runs the command ``agent`` on a script, for the benchmarks."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from agent.cli import main
from agent.cluster import connected
from agent.hosts import keeping_hosts
from tests.corpus import ROOT

Answer = dict[str, Any]

FURTHER = 10
"""From one seed base to the next: no trial of one shares a seed with another's."""


answers_option = click.option(
    "--answers",
    type=click.Path(path_type=Path),
    help="Folder that answers are kept in, and taken from, as long as no code changes.",
)
_kept: Path | None = None


def diagnose(script: Path, args: tuple[str, ...], seed_base: int, *options: str) -> Answer:
    """The diagnosis of a script with its arguments, as JSON."""
    asked = ["--seed-base", str(seed_base), *options, str(script.relative_to(ROOT)), *args]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "diagnosis.json"
        if _kept is not None:
            file = _kept / f"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]}.json"
        if not file.exists():
            code = _run(["diagnose", "--quiet", "--json", str(file), *asked])
            if code not in (0, 1):
                raise click.ClickException(f"{script} ended with exit code {code}")
        found: Answer = json.loads(file.read_text())
        return found


@contextlib.contextmanager
def keeping_answers(folder: Path | None) -> Iterator[None]:
    """Meanwhile, all diagnoses are made by this process, with one Ray whose hosts are kept.

    For what is to be told of the answers, not of the time that they took.

    Args:
        folder: What was answered is kept in it, and not asked again: a benchmark of hours can be
            broken off and gone on with. None to keep nothing.
    """
    global _kept
    cores = os.cpu_count() or 1
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory())
        kept = Path(temporary) if folder is None else folder.absolute()
        kept.mkdir(parents=True, exist_ok=True)
        stack.enter_context(contextlib.chdir(ROOT))
        stack.enter_context(connected(None, cores))
        stack.enter_context(keeping_hosts())
        _kept = kept
        try:
            yield
        finally:
            _kept = None


def _run(arguments: Sequence[str]) -> int:
    if _kept is not None:
        with contextlib.redirect_stdout(io.StringIO()):
            return main(arguments)
    agent = Path(sys.executable).parent / "agent"
    return subprocess.run([agent, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL).returncode
