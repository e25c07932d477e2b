"""A host without Ray: the process that `agent.alone` starts, for one trial."""

from __future__ import annotations

import os
import threading
from multiprocessing.connection import Connection

from agent.inside.keeper import LAST, Keeper

_COLLECT = 0.2
_LINGER = 0.02


def main(descriptor: int) -> None:
    """Run the trial that is told, and tell its events as they come.

    Args:
        descriptor: A connection. First what `Keeper` is told, and the trial, comes from it;
            anything after that cancels the trial, and its end ends this process.
    """
    connection = Connection(descriptor)
    *about, spec = connection.recv()
    keeper = Keeper(*about)
    threading.Thread(target=_obey, args=(connection, keeper), daemon=True).start()
    problem = keeper.check()
    if problem:
        connection.send([{"event": "broken", "text": problem}])
    else:
        keeper.start(spec)
    told = bool(problem)
    while not told:
        events = keeper.collect(_COLLECT, _LINGER)
        if events:
            connection.send(events)
            told = events[-1]["event"] in LAST
    keeper.close()


def _obey(connection: Connection, keeper: Keeper) -> None:
    try:
        while True:
            connection.recv()
            keeper.cancel()
    except (EOFError, OSError):
        keeper.close()
        os._exit(0)
