"""Runs scripts in the process of a trial, without Ray around it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.inside import process
from agent.inside.job import Job
from agent.inside.watch import EventPipe, vanished
from agent.snapshot import Snapshot
from probes.trace import Event, Trace

RunScript = Callable[..., Trace]

# Tests run side by side, one core each; torch reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

collect_ignore = ["benchmarks", "healthy", "scripts", "sick"]  # To be run, not imported.


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Runs a script; the trace's ending has all that it wrote.

    ``run_script(path, "--epochs", "3", treatment=(action,), seed=1)``
    """

    def run(
        script: Path,
        *args: str,
        large: int = 2**20,
        directory: Path | None = None,
        base: Path = tmp_path,
        **options: Any,
    ) -> Trace:
        number = len(list(base.iterdir()))
        scratch = base / f"scratch{number}"
        folder = directory or script.parent
        copy = Snapshot.take(folder, script, large).lay_out(scratch / "files")
        job = Job(
            script=copy.script,
            args=args,
            directory=copy.directory,
            scratch=scratch,
            links=copy.links,
            environment={},
            **options,
        )
        job.temporary.mkdir()
        return _run(job)

    return run


RunPlainly = Callable[[Path, Path], Path]


@pytest.fixture
def run_plainly(tmp_path: Path) -> RunPlainly:
    """Runs a script as ``python script`` would, in a copy of its working directory.

    Gives the working directory: ``run_plainly(script, directory)``.
    """

    def run(script: Path, directory: Path) -> Path:
        copy = Snapshot.take(directory, script).lay_out(tmp_path / "plain")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["agent.inside.preload"])
        child = context.Process(target=_plainly, args=(copy.script, copy.directory))
        child.start()
        child.join()
        assert child.exitcode == 0, (copy.directory / "output.log").read_text()
        return copy.directory

    return run


def _plainly(script: Path, directory: Path) -> None:
    import torch

    from agent.inside import isolation
    from agent.inside.script import run_as_main

    os.chdir(directory)
    with open("output.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    isolation._reset_multiprocessing()
    torch.set_num_threads(1)
    os.environ["MLFLOW_TRACKING_URI"] = (directory / "mlruns").as_uri()
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    run_as_main(script, [str(script.relative_to(directory))])


def _run(job: Job) -> Trace:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["agent.inside.preload"])
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=process.main, args=(job, writer))
    child.start()
    writer.close()
    pipe = EventPipe(reader.fileno())
    events: list[Event] = []
    while child.is_alive():
        child.join(0.02)
        events += pipe.read()
    events += pipe.read()
    reader.close()
    ending = pipe.ending or vanished(child.exitcode or 0)
    fields = {name: getattr(ending, name) for name in ending.__slots__}
    fields["output_tail"] = job.log.read_text()
    return Trace.of([*events, {"event": "ending", **fields}])
