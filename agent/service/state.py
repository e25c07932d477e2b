"""What the routes of the API answer from."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, HTTPException, Path, Request
from sqlalchemy import Row

from agent.service.asked import without_secrets
from agent.service.models import Job, Submission
from agent.service.queue import Queue
from agent.service.settings import Settings

_MOST_FOLLOWERS = 100


class Workforce(Protocol):
    """Those who work on the jobs, as far as the API has to know.

    Attributes:
        ready: Workers that can take jobs.
        trouble: Why there are none.
        settings: What jobs may use.
    """

    ready: int
    trouble: str
    settings: Settings


@dataclass
class Service:
    """What the routes answer from.

    Attributes:
        queue: The jobs.
        crew: Those who work on them.
        most: Jobs that may wait.
        followers: Who follows a job now.
    """

    queue: Queue
    crew: Workforce
    most: int = 50
    followers: int = 0


def job_of(row: Row[Any]) -> Job:
    """A job as clients see it."""
    told = {name: getattr(row, name) for name in Job.model_fields if name != "submission"}
    if row.kind == "diagnosis":
        told["submission"] = _shown(row.body)
    return Job.model_validate(told)


@functools.lru_cache(maxsize=1000)
def _shown(body: str) -> Submission:
    return without_secrets(Submission.model_validate_json(body))


async def _service(request: Request) -> Service:
    # Not for the database, so in no thread: on a busy machine each change of threads is a wait.
    service: Service = request.app.state.service
    return service


ServiceHere = Annotated[Service, Depends(_service)]
JobName = Annotated[str, Path(min_length=32, max_length=32, pattern="^[0-9a-f]{32}$")]


def _row(job: JobName, service: ServiceHere) -> Any:
    row = service.queue.get(job)
    if row is None:
        raise HTTPException(404, f"there is no job {job}")
    return row


RowHere = Annotated[Any, Depends(_row)]


async def _seat(service: ServiceHere) -> Any:
    """One of the places for those who follow a job."""
    if service.followers >= _MOST_FOLLOWERS:
        told = f"{_MOST_FOLLOWERS} clients follow jobs already: ask for its state instead"
        raise HTTPException(429, told, headers={"Retry-After": "10"})
    service.followers += 1
    try:
        yield
    finally:
        service.followers -= 1


Seat = Depends(_seat)
