"""The process of `agent.head`: holds Ray until nobody wants it any more."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from agent.cluster import initialise, resources
from agent.errors import InfrastructureError

_OBJECT_STORE = 100 * 2**20
_LOOK = 0.05
_SWEEPS = 100


def main(descriptor: int, cpus: int) -> None:
    """Start Ray and tell its address, or why it does not start.

    Args:
        descriptor: A connection; its end ends Ray and this process.
        cpus: Cores that Ray is to have.
    """
    connection = Connection(descriptor)
    folder = Path(tempfile.mkdtemp(prefix="agent-", dir=_short_folder()))
    threading.Thread(target=_end_with, args=(connection, folder), daemon=True).start()
    options = {
        "num_cpus": cpus,
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE,
        "_temp_dir": str(folder),
    }
    try:
        initialise("local", folder, **options)
        connection.send((resources()[0], ""))
    except InfrastructureError as error:
        connection.send((None, str(error)))
    threading.Event().wait()


def _end_with(connection: Connection, folder: Path) -> None:
    try:
        connection.recv()
    except (EOFError, OSError):
        _end_all(folder)


def _end_all(folder: Path) -> None:
    """Kill Ray's processes rather than wait until they have said goodbye to each other.

    A process that was about to be started by another one has the folder on its command line.
    """
    found = psutil.Process().children(recursive=True)
    for _ in range(_SWEEPS):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_LOOK)
        found = [process for process in psutil.process_iter() if _is_of(process, folder)]
        if not found:
            break
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _is_of(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(folder) in " ".join(process.cmdline()) and process.pid != os.getpid()
    except psutil.Error:
        return False


def _short_folder() -> str | None:
    """Paths of Unix sockets may have no more than about 100 characters."""
    return "/tmp" if sys.platform != "win32" else None
