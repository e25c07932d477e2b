"""A host without Ray: the process that `agent.alone` starts, for one trial."""

from __future__ import annotations

import os
import queue
import threading
from multiprocessing.connection import Connection

from agent.inside.keeper import LAST, Keeper
from agent.snapshot import Snapshot
from agent.workload import TrialSpec

_COLLECT = 0.2
_LINGER = 0.02


def main(descriptor: int) -> None:
    """Make all ready, run the trial that is told, and tell its events as they come.

    Args:
        descriptor: A connection. First what `Keeper` is told comes from it, then other files, if
            any, and the trial; anything else cancels that, and its end ends this process.
    """
    connection = Connection(descriptor)
    keeper = Keeper(*connection.recv())
    told: queue.SimpleQueue[TrialSpec] = queue.SimpleQueue()
    threading.Thread(target=_obey, args=(connection, keeper, told), daemon=True).start()
    problem = keeper.check()
    spec = told.get()
    if problem:
        connection.send([{"event": "broken", "text": problem}])
    else:
        keeper.start(spec)
    ended = bool(problem)
    while not ended:
        events = keeper.collect(_COLLECT, _LINGER)
        if events:
            connection.send(events)
            ended = events[-1]["event"] in LAST
    keeper.close()


def _obey(connection: Connection, keeper: Keeper, told: queue.SimpleQueue[TrialSpec]) -> None:
    try:
        while True:
            match connection.recv():
                case Snapshot() as snapshot:
                    keeper.use(snapshot)
                case TrialSpec() as spec:
                    told.put(spec)
                case _:
                    keeper.cancel()
    except (EOFError, OSError):
        keeper.close()
        os._exit(0)
