"""Entry point of the process of a trial. Light: the host imports it, too, and has no torch."""

from __future__ import annotations

import os
import traceback
from dataclasses import asdict
from multiprocessing.connection import Connection

from agent.inside.errors import one_line
from agent.inside.events import Sender
from agent.inside.isolation import isolate
from agent.inside.job import Job
from probes.facts import Ending


def main(job: Job, connection: Connection) -> None:
    """Run the script of the job and tell how it ended; never returns.

    Args:
        job: What to run.
        connection: Takes the events; when nobody reads it any more, this process ends.
    """
    sender = Sender(connection)
    try:
        isolate(job, connection.fileno())
        from agent.inside.trial import run

        ending = run(job, sender.emit)
    except BaseException as error:
        traceback.print_exc()
        message = f"before the script: {one_line(error)}"
        ending = Ending("raised", exit_code=1, message=message)
    sender.emit({"event": "ending", **asdict(ending)})
    # Everything that the interpreter does at its end has been done, or must not be done.
    os._exit(ending.exit_code or 0)


def check(connection: Connection) -> None:
    """Say whether trials can run here: one line, empty if all is well."""
    from agent.inside.preload import ERROR

    connection.send(ERROR)
