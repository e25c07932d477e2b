"""Runs one trial on this machine without Ray: it need not wait until Ray has started."""

from __future__ import annotations

import contextlib
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Mapping

from agent.attempt import Attempt
from agent.snapshot import Snapshot
from agent.workload import Workload
from probes.trace import Event

_MAIN = "import sys; sys.path.remove(''); from agent.inside.alone import main; main({})"
"""Not found in the current folder, which may hold an agent.py."""


class Alone:
    """A host for one trial, which makes itself ready until that is there.

    Args:
        snapshot: The user's files.
        workload: What to run, with its limits.
        environment: Environment of the user's shell.

    Attributes:
        run: The trial; None until there is one.
    """

    def __init__(
        self, snapshot: Snapshot, workload: Workload, environment: Mapping[str, str]
    ) -> None:
        self.run: Attempt | None = None
        self._connection, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN.format(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                # A copy: what another thread sets meanwhile may move the system's own list.
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is not meant for it.
            )
        self._connection.send((snapshot, workload, dict(environment)))

    def use(self, snapshot: Snapshot) -> None:
        """Run the trial over other files, if it has not been started."""
        with contextlib.suppress(OSError):
            self._connection.send(snapshot)

    def start(self, run: Attempt) -> None:
        """Run the trial as soon as all is ready; that the process has died, `poll` tells."""
        self.run = run
        run.started = time.time()
        with contextlib.suppress(OSError):
            self._connection.send(run.spec)

    def poll(self, timeout: float) -> list[Event]:
        """What has come in; waits up to ``timeout`` seconds for it.

        Raises:
            ConnectionError: The process has died.
        """
        try:
            events: list[Event] = self._connection.recv() if self._connection.poll(timeout) else []
        except (EOFError, OSError) as error:
            raise ConnectionError("its process has died") from error
        return events

    def cancel(self) -> None:
        """End the trial; it still has an ending."""
        with contextlib.suppress(OSError):
            self._connection.send(None)

    def leave(self) -> None:
        """Have the process end, with all that it runs, without waiting for that."""
        self._connection.close()

    def close(self, timeout: float) -> None:
        """Wait for its end, up to ``timeout`` seconds."""
        self.leave()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
