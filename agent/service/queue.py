"""The queue of the service as clients see it: bounded, persistent, shared by several servers.

Each change is one transaction; `agent.service.attempts` is the side of those who work on the jobs.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from agent.service.changes import change, tell
from agent.service.models import ENDED, Kind, State
from agent.service.tables import EVENTS, GATE, JOBS, RESULTS, Database

_RECENT = 20


@dataclass
class Full(Exception):
    """The queue has no room; ``retry`` is in seconds."""

    retry: int


class Conflict(Exception):
    """The idempotency key was used for something else."""


@dataclass(frozen=True)
class NewJob:
    """What is put into the queue.

    Attributes:
        kind: What it does.
        body: What was asked for, as JSON.
        digest: Of what was asked for: the same key must come with the same one.
        key: Idempotency key of the client.
        cpus: Cores of one trial: no smaller worker takes it.
        gpus: GPUs of one trial.
    """

    kind: Kind
    body: str = "{}"
    digest: str = ""
    key: str | None = None
    cpus: int = 1
    gpus: float = 0.0


class Queue:
    """The jobs of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, job: NewJob, most: int) -> tuple[Row[Any], bool]:
        """Put a job into the queue.

        Args:
            job: The job.
            most: Jobs that may wait.

        Returns:
            The job, and whether it is new: the same key gives the same job.

        Raises:
            Full: Too many wait.
            Conflict: The key is that of another job.
        """
        with self._database.reading() as connection:  # Those who are refused keep nobody waiting.
            known = _known(connection, job, most)
        if known is not None:
            return known, False
        with self._database.writing() as connection:
            connection.execute(GATE.update().values(id=1))
            known = _known(connection, job, most)
            return (known, False) if known else (self._insert(connection, job), True)

    def submit_once(self, job: NewJob) -> tuple[Row[Any], bool]:
        """Put a job into the queue, however full it is, unless one of its kind has not ended."""
        with self._database.writing() as connection:
            connection.execute(GATE.update().values(id=1))
            active = and_(JOBS.c.kind == job.kind, JOBS.c.state.not_in(ENDED))
            known = connection.execute(select(JOBS).where(active)).first()
            return (known, False) if known else (self._insert(connection, job), True)

    def _insert(self, connection: Connection, job: NewJob) -> Row[Any]:
        values = {name: getattr(job, name) for name in job.__dataclass_fields__}
        values |= {"id": uuid.uuid4().hex, "state": "queued"}
        values["submitted"] = self._database.now(connection)
        row = connection.execute(JOBS.insert().values(**values).returning(JOBS)).one()
        tell(connection, row.number, "queued")
        return row

    def get(self, job: str) -> Row[Any] | None:
        """A job by its name."""
        with self._database.reading() as connection:
            return connection.execute(select(JOBS).where(JOBS.c.id == job)).one_or_none()

    def page(
        self, state: State | None, kind: Kind | None, before: int | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Jobs, the latest first.

        Args:
            state: Only those in it.
            kind: Only those of it.
            before: Only those with a lower number.
            limit: So many at most.
        """
        asked = select(JOBS).order_by(JOBS.c.number.desc()).limit(limit)
        wanted = {JOBS.c.state: state, JOBS.c.kind: kind}
        for column, value in wanted.items():
            if value is not None:
                asked = asked.where(column == value)
        if before is not None:
            asked = asked.where(JOBS.c.number < before)
        with self._database.reading() as connection:
            return connection.execute(asked).all()

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        asked = select(JOBS.c.state, func.count()).group_by(JOBS.c.state)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(asked)}

    def events(self, number: int, after: int, limit: int = 500) -> Sequence[Row[Any]]:
        """Events of a job in their order: ``seq``, ``kind`` and ``data``.

        Args:
            number: Of the job.
            after: Only later ones.
            limit: So many at most.
        """
        asked = select(EVENTS).where(EVENTS.c.job == number, EVENTS.c.seq > after)
        with self._database.reading() as connection:
            return connection.execute(asked.order_by(EVENTS.c.seq).limit(limit)).all()

    def result(self, number: int, name: str) -> bytes | None:
        """Something that a job gave."""
        asked = select(RESULTS.c.content).where(RESULTS.c.job == number, RESULTS.c.name == name)
        with self._database.reading() as connection:
            return connection.scalar(asked)

    def cancel(self, job: str) -> Row[Any] | None:
        """End a job: at once where it waits, soon where it runs, never where it has ended."""
        with self._database.writing() as connection:
            found = connection.execute(
                select(JOBS).where(JOBS.c.id == job).with_for_update()
            ).one_or_none()
            if found is None or found.state in ENDED:
                return found
            values: dict[str, Any] = {"cancelling": True}
            if found.state == "queued":
                now = self._database.now(connection)
                values = {"state": "cancelled", "finished": now}
            row: Row[Any] = change(connection, found.number, values)
            if row.state == "cancelled":
                tell(connection, row.number, "cancelled")
            return row

    def purge(self, age: float) -> int:
        """Forget jobs that ended longer ago than so many seconds; says how many."""
        with self._database.writing() as connection:
            before = self._database.now(connection) - age
            old = select(JOBS.c.number).where(JOBS.c.state.in_(ENDED), JOBS.c.finished < before)
            for table in (EVENTS, RESULTS):
                connection.execute(table.delete().where(table.c.job.in_(old)))
            return connection.execute(JOBS.delete().where(JOBS.c.number.in_(old))).rowcount


def _known(connection: Connection, job: NewJob, most: int) -> Row[Any] | None:
    """The job of the same key; None where there is none, and room for a new one."""
    asked = select(JOBS).where(JOBS.c.key == job.key)
    known = connection.execute(asked).one_or_none() if job.key is not None else None
    if known is not None and known.digest != job.digest:
        raise Conflict
    if known is not None:
        return known
    waiting = select(func.count()).where(JOBS.c.state == "queued")
    if (connection.scalar(waiting) or 0) >= most:
        raise Full(_pace(connection))
    return None


def _pace(connection: Connection) -> int:
    """Seconds until there may be room, by how fast jobs ended lately."""
    recent = (
        select(JOBS.c.finished)
        .where(JOBS.c.state.in_(("done", "failed")))
        .order_by(JOBS.c.finished.desc())
        .limit(_RECENT)
    )
    times = connection.scalars(recent).all()
    between = (times[0] - times[-1]) / (len(times) - 1) if len(times) > 1 else 0.0
    return min(600, max(1, round(between)))
