"""A Ray of our own on this machine: started beside, and ended at once."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys

from agent.errors import InfrastructureError

_MAIN = "import sys; sys.path.remove(''); from agent.head_process import main; main({}, {})"
"""Not found in the current folder, which may hold an agent.py."""
_START_TIMEOUT = 300.0
_END_TIMEOUT = 30.0


class Head:
    """The process that starts Ray, and takes it along when it ends, or when this one dies.

    Ray takes seconds to start, in which this process can do something else; and it takes seconds
    to end in order, for which there is no need where nothing is kept.

    Args:
        cpus: Cores that Ray is to have.
    """

    def __init__(self, cpus: int) -> None:
        self._address: str | None = None
        self._connection, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN.format(theirs.fileno(), cpus)],
                pass_fds=[theirs.fileno()],
                env=dict(os.environ),  # As for `agent.alone.Alone`.
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is not meant for it.
            )

    def address(self, timeout: float) -> str | None:
        """Where Ray is; None where it has not started after so many seconds.

        Raises:
            InfrastructureError: It does not start.
        """
        if self._address is None and self._connection.poll(timeout):
            try:
                self._address, problem = self._connection.recv()
            except (EOFError, OSError) as error:
                raise InfrastructureError("the process that starts Ray has died") from error
            if problem:
                raise InfrastructureError(problem)
        return self._address

    def wait(self) -> str:
        """Where Ray is, as soon as it has started.

        Raises:
            InfrastructureError: It does not start.
        """
        address = self.address(_START_TIMEOUT)
        if address is None:
            raise InfrastructureError(f"Ray has not started within {_START_TIMEOUT:.0f} s")
        return address

    def end(self) -> None:
        """End Ray and all that it runs."""
        self._connection.close()
        try:
            self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
