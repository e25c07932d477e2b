"""Sends events from the process of a trial to its host."""

from __future__ import annotations

import json
import os
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any

from probes.trace import Event


class Sender:
    """Writes every event as one JSON line to a pipe, at once.

    What was emitted is in the pipe, so it survives a crash of this process. Batching is the
    reader's: it looks a few times a second.

    Args:
        connection: The writing end of the pipe.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._descriptor = connection.fileno()
        self._lock = threading.Lock()
        self._muted = False
        os.register_at_fork(after_in_child=self._mute)

    def emit(self, event: Event) -> None:
        """Send one event; processes forked from this one send nothing."""
        if self._muted:
            return
        line = json.dumps(event, default=_plain).encode() + b"\n"
        with self._lock:
            self._write(line)

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except BrokenPipeError:
            os.killpg(0, signal.SIGKILL)

    def _mute(self) -> None:
        self._muted = True


def _plain(value: Any) -> Any:
    """NumPy and torch scalars as plain numbers; anything else as text."""
    try:
        return value.item()
    except (AttributeError, RuntimeError, ValueError):
        return str(value)
