"""How long an answer takes, in bare runs of the script, and where the time goes.

python -m tests.benchmarks.answer                # every sick workload and its healthy twin
python -m tests.benchmarks.answer dead_relus     # some

A bare run is ``python script.py``, Python's start and the imports included; one is timed before
and one after the diagnosis, and the mean of both counts, so that a machine that becomes slower
meanwhile does so for both. No trial is recalled from an earlier diagnosis. ``agent`` is all of the
command that is no part of the diagnosis: Python's start, the imports, the printing.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tests.corpus import load
from tests.corpus.command import diagnose

PARTS = ("start", "observe", "search", "confirm", "patch", "record")


@dataclass(frozen=True)
class Timed:
    """One diagnosis.

    Attributes:
        name: Of the script.
        verdict: What came out.
        bare: Seconds of a bare run.
        wall: Seconds of the command.
        parts: Seconds of each part of the diagnosis.
        trials: Runs of the script, those of a patched one included.
    """

    name: str
    verdict: str
    bare: float
    wall: float
    parts: dict[str, float]
    trials: float

    @property
    def ratio(self) -> float:
        """Bare runs that the answer took."""
        return self.wall / self.bare

    @property
    def row(self) -> str:
        """Of the table."""
        spent = [*(self.parts.get(part, 0.0) for part in PARTS)]
        cells = [
            f"`{self.name}`",
            self.verdict,
            f"{self.bare:.1f}",
            f"{self.ratio:.1f}",
            f"{self.trials:.0f}",
            *(f"{seconds:.1f}" for seconds in [self.wall - sum(spent), *spent]),
        ]
        return f"| {' | '.join(cells)} |"


def timed(name: str, script: Path, args: Sequence[str]) -> Timed:
    """Diagnose a script, with a bare run before and after."""
    before = _bare(script, args)
    began = time.monotonic()
    answer = diagnose(script, tuple(args), 0, "--no-experience", "--fresh")
    wall = time.monotonic() - began
    bare = (before + _bare(script, args)) / 2
    cost = answer["cost"]
    spent = cost["baseline_equivalents"]
    return Timed(name, answer["verdict"], bare, wall, cost["parts"], spent)


def _bare(script: Path, args: Sequence[str]) -> float:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    began = time.monotonic()
    # A sick script may end with an exception.
    subprocess.run(
        [sys.executable, script, *args],
        cwd=script.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - began


def summary(found: Iterable[Timed]) -> Iterable[str]:
    """The median of each verdict."""
    by_verdict: dict[str, list[Timed]] = {}
    for one in found:
        by_verdict.setdefault(one.verdict, []).append(one)
    for verdict, these in by_verdict.items():
        ratios = sorted(one.ratio for one in these)
        rest = [one.wall - sum(one.parts.get(part, 0.0) for part in PARTS[1:-1]) for one in these]
        yield (
            f"{verdict}: {len(these)}; median {statistics.median(ratios):.1f} bare runs "
            f"({ratios[0]:.1f} to {ratios[-1]:.1f}), "
            f"{statistics.median(rest):.1f} s of it before the first run and after the last"
        )


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Print the table of the workloads, or of some NAMES."""
    columns = ["script", "verdict", "bare, s", "answer, bare runs", "runs", "agent, s"]
    columns += [f"{part}, s" for part in PARTS]
    click.echo(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    found: list[Timed] = []
    for sick in load():
        if sick.healthy is None or (names and sick.name not in names):
            continue
        for kind, script in (("sick", sick.script), ("healthy", sick.healthy)):
            found.append(timed(f"{sick.name}/{kind}", script, sick.args))
            click.echo(found[-1].row)
            sys.stdout.flush()
    click.echo("\n".join(["", *summary(found)]))


if __name__ == "__main__":
    main()
