import multiprocessing
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.inside import process
from agent.inside.job import Job
from agent.inside.watch import EventPipe, vanished
from agent.snapshot import Snapshot
from probes.trace import Trace

Trial = Callable[..., Trace]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """Runs a script in the process of a trial; the trace's ending has all that it wrote."""

    def trial(
        text: str,
        *args: str,
        files: dict[str, str] | None = None,
        large: int = 2**20,
        **options: Any,
    ) -> Trace:
        project = tmp_path / "project"
        project.mkdir(exist_ok=True)
        for name, content in {"train.py": text, **(files or {})}.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        number = len(list(tmp_path.iterdir()))
        scratch = tmp_path / f"scratch{number}"
        copy = Snapshot.take(project, project / "train.py", large).lay_out(scratch / "files")
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

    return trial


def _run(job: Job) -> Trace:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["agent.inside.preload"])
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=process.main, args=(job, writer))
    child.start()
    writer.close()
    pipe = EventPipe(reader.fileno())
    events = []
    while child.is_alive():
        child.join(0.02)
        events += pipe.read()
    events += pipe.read()
    reader.close()
    ending = pipe.ending or vanished(child.exitcode or 0)
    fields = {name: getattr(ending, name) for name in ending.__slots__}
    fields["output_tail"] = job.log.read_text()
    return Trace.of([*events, {"event": "ending", **fields}])
