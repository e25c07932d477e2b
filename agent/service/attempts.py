"""The queue of the service as those see it who work on its jobs.

A job is worked on by whoever has its lease. What an attempt writes is guarded by the name of that
attempt, so one that has lost its lease can change nothing any more.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from agent.recorder.facts import is_gone
from agent.service.changes import Event, append, change, tell
from agent.service.models import ENDED, Kind, State
from agent.service.tables import JOBS, RESULTS, Database

LEASE = 30.0
"""Seconds after which the job of a silent worker on another machine is free again."""
_MOST_ATTEMPTS = 3
_FREE: dict[str, Any] = {"owner": None, "holder": None, "lease": None}


@dataclass(frozen=True)
class Claim:
    """One attempt at a job.

    Attributes:
        number: The job.
        id: Its name.
        kind: What it does.
        body: What was asked for.
        owner: Names the attempt.
        again: Whether there was an attempt before.
    """

    number: int
    id: str
    kind: Kind
    body: str
    owner: str
    again: bool


@dataclass(frozen=True)
class Ended:
    """How an attempt ended.

    Attributes:
        state: New state of the job.
        columns: What is known of it.
        results: What it gave, by name.
    """

    state: State
    columns: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, bytes] = field(default_factory=dict)


class Attempts:
    """Attempts at the jobs of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, holder: Mapping[str, str], cpus: int, gpus: float) -> Claim | None:
        """Take the job that waits longest.

        Args:
            holder: Identity of the process, see `process_identity`.
            cpus: Only jobs whose trials need no more cores.
            gpus: Only those that need no more GPUs.
        """
        fitting = (JOBS.c.state == "queued", JOBS.c.cpus <= cpus, JOBS.c.gpus <= gpus)
        asked = select(JOBS).where(*fitting).order_by(JOBS.c.number).limit(1)
        with self._database.reading() as connection:
            if connection.execute(asked).first() is None:  # Readers keep nobody waiting.
                return None
        with self._database.writing() as connection:
            found = connection.execute(asked.with_for_update(skip_locked=True)).first()
            if found is None:
                return None
            owner, now = uuid.uuid4().hex, self._database.now(connection)
            taken: dict[str, Any] = {
                "state": "running",
                "owner": owner,
                "holder": json.dumps(dict(holder)),
            }
            taken |= {"lease": now + LEASE, "started": now, "attempts": found.attempts + 1}
            change(connection, found.number, taken)
            tell(connection, found.number, "running", attempt=found.attempts + 1)
            again = found.started is not None
            return Claim(found.number, found.id, found.kind, found.body, owner, again)

    def beat(self, claim: Claim, events: Iterable[Event]) -> bool | None:
        """Renew the lease of an attempt, and write what happened in it.

        Returns:
            Whether the job is to be cancelled; None where the lease is lost, and nothing written.
        """
        with self._database.writing() as connection:
            lease = self._database.now(connection) + LEASE
            row = change(connection, claim.number, {"lease": lease}, claim.owner)
            if row is None:
                return None
            append(connection, claim.number, events)
            return bool(row.cancelling)

    def finish(self, claim: Claim, ended: Ended, events: Iterable[Event] = ()) -> bool:
        """Write how an attempt ended, once; False where its lease is lost.

        Args:
            claim: The attempt.
            ended: How it ended.
            events: What happened at last.
        """
        with self._database.writing() as connection:
            now = self._database.now(connection)
            values: dict[str, Any] = {"state": ended.state, "finished": now}
            values |= _FREE | {"cancelling": False} | dict(ended.columns)
            row = change(connection, claim.number, values, claim.owner)
            if row is None:
                return False
            for name, content in ended.results.items():
                result = {"job": claim.number, "name": name, "content": content}
                connection.execute(RESULTS.insert().values(**result))
            append(connection, claim.number, events)
            told = {"verdict": row.verdict, "summary": row.summary, "error": row.error}
            tell(connection, claim.number, row.state, **{k: v for k, v in told.items() if v})
            return True

    def put_back(self, claim: Claim, why: str, counted: bool = True) -> bool:
        """Let somebody else go on with a job; False where its lease is lost.

        Args:
            claim: The attempt that ends.
            why: What went wrong; told where there were too many attempts.
            counted: Whether that was an attempt.
        """
        with self._database.writing() as connection:
            return self._free(connection, claim.number, claim.owner, why, counted)

    def reclaim(self) -> int:
        """Put back the jobs of workers that are gone; says how many."""
        running = select(JOBS).where(JOBS.c.state == "running")
        with self._database.reading() as connection:
            now = self._database.now(connection)
            left = [row for row in connection.execute(running) if _is_left(row, now)]
        return sum(self._take_away(row) for row in left)

    def _take_away(self, left: Row[Any]) -> bool:
        with self._database.writing() as connection:
            asked = select(JOBS.c.lease).where(JOBS.c.number == left.number)
            if connection.scalar(asked) != left.lease:
                return False  # It has given a sign of life meanwhile.
            return self._free(connection, left.number, left.owner, "the worker was killed", True)

    def _free(
        self, connection: Connection, number: int, owner: str, why: str, counted: bool
    ) -> bool:
        row = change(connection, number, dict(_FREE), owner)
        if row is None:
            return False
        values: dict[str, Any] = {"state": "queued"}
        if not counted:
            values["attempts"] = row.attempts - 1
        elif row.attempts >= _MOST_ATTEMPTS:
            error = f"{row.attempts} attempts failed: {why}"
            values = {"state": "failed", "error": error}
        if row.cancelling:
            values = {"state": "cancelled", "cancelling": False}
        if values["state"] in ENDED:
            values["finished"] = self._database.now(connection)
        row = change(connection, number, values)
        tell(connection, number, row.state, **({"error": row.error} if row.error else {}))
        return True


def _is_left(row: Row[Any], now: float) -> bool:
    return row.lease < now or bool(is_gone(json.loads(row.holder)))
