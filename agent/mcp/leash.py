"""The hold that an operator has on the trials of a session: how many, and when they stop."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from agent.errors import UsageError
from agent.fleet import Fleet
from agent.launch import Launcher, Report
from agent.request import Request
from agent.snapshot import Snapshot
from agent.workload import Outcome, TrialSpec
from probes.trace import Event, Trace

STOPPED = "stopped by the client"
_CANCELLED: Event = {"event": "ending", "status": "cancelled"}
_LARGER_THAN_SIGACTION = 1024


class Leash:
    """Counts runs, and stops what runs; used by the thread of the engine and by others.

    Args:
        most: Runs of the script that a session may make in all.

    Attributes:
        runs: Those that were begun.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.runs = 0
        self._pulled = threading.Event()

    @property
    def left(self) -> int:
        """Runs that may still be made."""
        return max(0, self.most - self.runs)

    def take(self) -> None:
        """Count a run.

        Raises:
            UsageError: There is none left.
        """
        if self.runs >= self.most:
            raise UsageError(f"budget spent: all {self.most} runs were made")
        self.runs += 1

    def pull(self) -> None:
        """Stop what the engine does, as soon as it looks."""
        self._pulled.set()

    def loosen(self) -> None:
        """Forget that it was pulled."""
        self._pulled.clear()

    def gave_way(self) -> bool:
        """Whether it was pulled; that is told once."""
        if not self._pulled.is_set():
            return False
        self._pulled.clear()
        return True


class Leashed(Launcher):
    """A launcher on a leash.

    Args:
        leash: Holds it.
        snapshot: The user's files.
        request: What to run, and where.
    """

    def __init__(self, leash: Leash, snapshot: Snapshot, request: Request) -> None:
        super().__init__(snapshot, request.workload, request.slots, request.address)
        self._leash = leash
        self._checking = False
        self._given_up = False

    def _open(self) -> Fleet:
        with _termination_kept():
            return super()._open()

    def submit(self, spec: TrialSpec) -> None:
        """Run a trial, if there is a run left.

        Raises:
            UsageError: There is none; where a patch is checked, that ends the check alone.
        """
        if self._checking and (self._given_up or not self._leash.left):
            self._finished.append((spec.number, Outcome(spec, Trace.of([_CANCELLED]))))
            return
        self._leash.take()
        super().submit(spec)

    def cancel(self, number: int) -> None:
        """End a trial; one that has not begun costs nothing."""
        if any(run.spec.number == number for run in self._waiting):
            self._leash.runs -= 1
        super().cancel(number)

    def poll(self, timeout: float = 0.5) -> list[Report]:
        """What has happened.

        Raises:
            KeyboardInterrupt: The leash was pulled; as for Ctrl-C, trials still run.
        """
        if self._leash.gave_way():
            if not self._checking:
                raise KeyboardInterrupt(STOPPED)
            # The fix stays what it is without its patch: only the checks of patches end.
            self._given_up = True
            for number in self.pending:
                self.cancel(number)
        return super().poll(timeout)

    @contextmanager
    def over(self, snapshot: Snapshot) -> Iterator[Launcher]:
        """Run the trials of a patched script."""
        self._checking = True
        try:
            with super().over(snapshot) as launcher:
                yield launcher
        finally:
            self._checking = False


@contextmanager
def _termination_kept() -> Iterator[None]:
    """Keep what SIGTERM does here: Ray, when it starts, lets it abort the process on the spot.

    Below Python, which lets no other thread than the main one do this.
    """
    library, kept = ctypes.CDLL(None), ctypes.create_string_buffer(_LARGER_THAN_SIGACTION)
    library.sigaction(signal.SIGTERM, None, kept)
    try:
        yield
    finally:
        library.sigaction(signal.SIGTERM, kept, None)
