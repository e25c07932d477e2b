"""Leases: of several triage processes on one store, one at a time works on a run.

MLflow's tags know no compare-and-swap; the last writer wins. So whoever wants a run reads that it
is free, writes a lease and looks again after a while. Those who compete have read before the first
of them wrote, and each gives up when more than `_GAP` lies between its own reading and writing: so
all have written within that time, and after `_SETTLE`, which is twice as long, everybody reads the
same last writer. No clocks are compared for that. Where the store is an SQLite file, a lock on a
file next to it does the same at once.

A lease ends by itself, or with its holder where that was a process of the same machine. The holder
renews it long before, and takes it for lost when it could not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.errors import InfrastructureError
from agent.recorder.facts import is_gone, process_identity
from agent.store import Store
from agent.triage.runs import LEASE, Run
from agent.triage.tracking import Tracking

_GAP = 2.0  # seconds
_SETTLE = 4.0
_SKEW = 30.0
"""Seconds that the clocks of two machines may differ."""
_FREE = ""


class Lease:
    """The right to work on a run.

    Args:
        tracking: The store.
        run_id: The run.
        owner: Tells one attempt to take it from all others.
        seconds: After which it ends, unless it is renewed.
    """

    def __init__(self, tracking: Tracking, run_id: str, owner: str, seconds: float) -> None:
        self._tracking = tracking
        self._run_id = run_id
        self._owner = owner
        self._seconds = seconds
        self._certain = time.monotonic()

    def write(self) -> None:
        """Say who has it, and until when."""
        asked = time.monotonic()
        told = {"owner": self._owner, "expires": round(time.time() + self._seconds, 1)}
        told |= process_identity(os.getpid())
        self._tracking.tag(self._run_id, {LEASE: json.dumps(told)})
        self._certain = asked + self._seconds

    def renew(self) -> bool:
        """Make it last; False where it is lost, and the work with it."""
        try:
            # When it is about to end, somebody else may be taking it right now.
            if time.monotonic() > self._certain - self._seconds / 4 or not self.held:
                return False
            self.write()
        except InfrastructureError:
            return time.monotonic() < self._certain - self._seconds / 4
        return True

    @property
    def held(self) -> bool:
        """Whether the store says that it is ours."""
        return _holder(self._tracking.run(self._run_id)) == self._owner

    def release(self) -> None:
        """Give it back, so that somebody else can take it at once."""
        with contextlib.suppress(InfrastructureError):
            if self.held:
                self._tracking.tag(self._run_id, {LEASE: _FREE})


def take(
    tracking: Tracking,
    run_id: str,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Lease | None:
    """Take the lease of a run that is not done; None where somebody else has it.

    Args:
        tracking: The store.
        run_id: The run.
        seconds: How long it lasts without a renewal.
        sleep: Replaced in tests.

    Raises:
        InfrastructureError: The store is away, or too slow to tell who was first.
    """
    lease = Lease(tracking, run_id, uuid.uuid4().hex, seconds)
    with _locked(tracking.store) as locked:
        began = time.monotonic()
        run = tracking.run(run_id)
        if run.done or _holder(run):
            return None
        lease.write()
        if locked:
            return lease
    if time.monotonic() - began > _GAP:
        # Whoever took it meanwhile may have looked already. It stays written, and runs out.
        raise InfrastructureError(
            f"MLflow at {tracking.store.shown} takes more than {_GAP:g} s to read and write a tag: "
            "runs cannot be shared out safely"
        )
    sleep(_SETTLE)
    return lease if lease.held else None


def _holder(run: Run) -> str:
    """Who has the lease of a run; empty where it is free, is over or makes no sense."""
    try:
        told = json.loads(run.tags.get(LEASE, "") or "{}")
        over = float(told.get("expires", 0)) + _SKEW < time.time() or is_gone(told)
        return "" if over else str(told.get("owner", ""))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ""


@contextlib.contextmanager
def _locked(store: Store) -> Iterator[bool]:
    """Alone with an SQLite store; says False where there is no such lock."""
    database = store.database
    if database is None:
        yield False
        return
    file = os.open(Path(f"{database}.triage-lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield True
    finally:
        os.close(file)
