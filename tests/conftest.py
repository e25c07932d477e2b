"""Runs scripts in the process of a trial, without Ray around it."""

from __future__ import annotations

import multiprocessing
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


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Runs a script; the trace's ending has all that it wrote.

    ``run_script(path, "--epochs", "3", treatment=(action,), seed=1)``
    """

    def run(script: Path, *args: str, large: int = 2**20, **options: Any) -> Trace:
        number = len(list(tmp_path.iterdir()))
        scratch = tmp_path / f"scratch{number}"
        copy = Snapshot.take(script.parent, script, large).lay_out(scratch / "files")
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
