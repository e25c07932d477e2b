"""Changes to jobs, of which each transaction of the queue is made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from agent.service.tables import EVENTS, JOBS

STATE = "state"
"""Kind of the event that tells of a new state; the last event of each job is one."""
Event = tuple[str, str]
"""Kind, and data as JSON."""


def change(
    connection: Connection, number: int, values: Mapping[str, Any], owner: str | None = None
) -> Any:
    """Change a job and give it; None where it is not that owner's any more."""
    update = JOBS.update().where(JOBS.c.number == number)
    if owner is not None:
        update = update.where(JOBS.c.owner == owner, JOBS.c.state == "running")
    return connection.execute(update.values(**values).returning(JOBS)).one_or_none()


def tell(connection: Connection, number: int, state: str, **more: object) -> None:
    """Tell those who follow a job of its new state."""
    append(connection, number, [(STATE, json.dumps({"state": state, **more}))])


def append(connection: Connection, number: int, events: Iterable[Event]) -> None:
    """Write events of a job, which the transaction must have changed before: it is locked then."""
    rows = [{"job": number, "kind": kind, "data": data} for kind, data in events]
    if not rows:
        return
    last = connection.scalar(select(func.max(EVENTS.c.seq)).where(EVENTS.c.job == number)) or 0
    numbered = [row | {"seq": seq} for seq, row in enumerate(rows, last + 1)]
    connection.execute(EVENTS.insert(), numbered)
