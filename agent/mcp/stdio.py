"""Serving one client over stdin and stdout."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType

from agent.mcp.desk import Desk

_GONE = 1


def detach() -> int | None:
    """Go on in a child process with a session of its own, which outlives the one that is known.

    A client ends its server by closing stdin, and kills it with its process group a few seconds
    later. What is known is to be recorded all the same, and no trial to be left running.

    Returns:
        To the child, a descriptor at which nothing comes but the end, when its parent has died.
        The parent stays here until the child has ended, and ends as it did.
    """
    alive, held = os.pipe()
    child = os.fork()
    if child:
        os.close(alive)
        _, status = os.waitpid(child, 0)
        os._exit(max(0, os.waitstatus_to_exitcode(status)))
    os.close(held)
    os.setsid()
    return alive


def serve(desk: Desk, alive: int | None = None) -> None:
    """Serve until the client goes away.

    Args:
        desk: Opens its sessions.
        alive: See `detach`; None where nobody else has to stay alive.
    """
    import anyio

    from agent.mcp.server import make_server

    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    if alive is not None:
        threading.Thread(target=_watch, args=(alive, ending), daemon=True).start()
    threading.Thread(target=_end, args=(desk, ending), daemon=True).start()
    anyio.run(make_server(desk).run_stdio_async)
    # What other libraries still have to say at their end is nothing that a client could read.
    os.dup2(2, 1)


def _watch(alive: int, ending: threading.Event) -> None:
    with contextlib.suppress(OSError):
        os.read(alive, 1)
    ending.set()


def _end(desk: Desk, ending: threading.Event) -> None:
    """End this process when it is told to, whatever the thread does that waits for stdin."""
    ending.wait()
    desk.close()
    os._exit(_GONE)
