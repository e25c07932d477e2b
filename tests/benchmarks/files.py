"""What a working directory of thousands of files costs each trial.

``python -m tests.benchmarks.files [--files 3000] [--trials 20]`` prints what a host spends on the
files of a trial that adds some and changes one, over what a copy laid out for that trial alone and
removed again takes: in turns, medians, in the folder for temporary files.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click

from agent.inside.scratch import Scratch
from agent.snapshot import Snapshot

_IN_FOLDER = 50
_BYTES = 2_500  # of each file


def train(directory: Path) -> None:
    """Write what a training writes."""
    (directory / "checkpoints").mkdir()
    for epoch in range(5):
        (directory / "checkpoints" / f"{epoch}.pt").write_bytes(b"x" * _BYTES)
    (directory / "0" / "0").write_text("changed")


def repository(folder: Path, files: int) -> Snapshot:
    """A snapshot of a folder of so many files."""
    for number in range(files):
        place = folder / str(number // _IN_FOLDER) / str(number)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x" * _BYTES)
    (folder / "train.py").write_text("")
    return Snapshot.take(folder, folder / "train.py")


def kept(scratch: Scratch, snapshot: Snapshot) -> None:
    """One trial of a host."""
    train(scratch.prepare(snapshot)[1].directory)
    scratch.clear()


def anew(folder: Path, snapshot: Snapshot) -> None:
    """One trial in a copy of its own."""
    train(snapshot.lay_out(folder).directory)
    shutil.rmtree(folder)


def seconds(task: Callable[[], None]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


@click.command()
@click.option("--files", default=3_000, help="Files of the working directory.")
@click.option("--trials", default=20, help="Trials of each kind.")
def main(files: int, trials: int) -> None:
    """Print the ratio."""
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        snapshot = repository(here / "project", files)
        scratch = Scratch(here / "host")
        kept(scratch, snapshot)
        times = [
            (
                seconds(lambda: kept(scratch, snapshot)),
                seconds(lambda: anew(here / "copy", snapshot)),
            )
            for _ in range(trials)
        ]
    ours, theirs = (median(column) for column in zip(*times, strict=True))
    click.echo(
        f"{files} files: {ours / theirs:.3f} times a copy for each trial "
        f"({ours * 1e3:.0f} ms, {theirs * 1e3:.0f} ms)"
    )


if __name__ == "__main__":
    main()
