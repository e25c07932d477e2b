"""The routes of the API, version 1."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from agent.diagnosis import Diagnosis
from agent.service.asked import request_of
from agent.service.models import ENDED, Job, JobPage, Kind, Problem, State, Submission
from agent.service.queue import Conflict, Full, NewJob
from agent.service.state import JobName, RowHere, Seat, ServiceHere, job_of

_LOOK = 0.5
_PROBLEM = f"#/components/schemas/{Problem.__name__}"
_MOST_SEQ = 2**31 - 1
_MOST_NUMBER = 2**63 - 1
_SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; font-src data:"
)
"""A report shows what a script has written: its page reaches nothing else of this server."""


def _told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    # By hand: FastAPI would say that they have the media type of the route's own answers.
    told = {"content": {"application/json": {"schema": {"$ref": _PROBLEM}}}}
    return {status: {"description": HTTPStatus(status).phrase, **told} for status in statuses}


router = APIRouter(prefix="/v1", responses=_told(400, 401, 403, 414, 422, 429, 503))
Key = Annotated[str | None, Header(alias="Idempotency-Key", pattern="^[!-~]{1,200}$")]


_SUBMITTED = _told(413) | {200: {"model": Job}, 409: {"model": Problem}}


@router.post("/jobs", status_code=202, tags=["jobs"], responses=_SUBMITTED)
def submit(asked: Submission, response: Response, service: ServiceHere, key: Key = None) -> Job:
    """Ask for a diagnosis. With the same Idempotency-Key it is the same job."""
    bounds = service.crew.settings.bounds
    request_of(asked, bounds)
    body = asked.model_dump_json()
    digest = hashlib.sha256(body.encode()).hexdigest()
    limits = asked.limits
    new = NewJob("diagnosis", body, digest, key, limits.cpus, limits.gpus)
    try:
        row, is_new = service.queue.submit(new, service.most)
    except Full as full:
        told = f"{service.most} jobs wait already: try again in {full.retry} s"
        raise HTTPException(429, told, headers={"Retry-After": str(full.retry)}) from None
    except Conflict:
        raise HTTPException(409, "this Idempotency-Key was used for something else") from None
    response.headers["Location"] = f"/v1/jobs/{row.id}"
    response.status_code = 202 if is_new else 200
    return job_of(row)


@router.get("/jobs", tags=["jobs"])
def list_jobs(
    service: ServiceHere,
    state: State | None = None,
    kind: Kind | None = None,
    before: Annotated[int | None, Query(ge=0, le=_MOST_NUMBER)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """Jobs, the latest first."""
    rows = service.queue.page(state, kind, before, limit)
    following = rows[-1].number if len(rows) == limit else None
    return JobPage(jobs=tuple(map(job_of, rows)), next=following)


@router.get("/jobs/{job}", tags=["jobs"], responses=_told(404))
async def get_job(row: RowHere) -> Job:
    """A job as it is now."""
    return job_of(row)


@router.post("/jobs/{job}/cancel", tags=["jobs"], responses=_told(404))
def cancel(job: JobName, row: RowHere, service: ServiceHere) -> Job:
    """End a job. One that runs needs a moment; one that has ended stays as it is."""
    return job_of(service.queue.cancel(job) or row)


@router.get(
    "/jobs/{job}/events",
    tags=["jobs"],
    response_class=EventSourceResponse,
    responses=_told(404),
    dependencies=[Seat],
)
async def follow(
    row: RowHere,
    service: ServiceHere,
    last_event_id: Annotated[int, Header(ge=0, le=_MOST_SEQ)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Everything that happens in a job, from its beginning or after Last-Event-ID to its end.

    Events are named ``state`` (the last one tells how it ended), ``part-started``,
    ``objective-chosen``, ``symptoms-found``, ``trial-started``, ``trial-progressed``,
    ``trial-ended``, ``notice`` and ``line``; ``lines`` is what the terminal would show.
    """
    seen = last_event_id
    while True:
        events = await run_in_threadpool(service.queue.events, row.number, seen)
        for event in events:
            seen = event.seq
            yield ServerSentEvent(raw_data=event.data, event=event.kind, id=str(seen))
        if not events:
            now = await run_in_threadpool(service.queue.get, row.id)
            if now is None or now.state in ENDED:
                late = await run_in_threadpool(service.queue.events, row.number, seen)
                if not late:
                    return
            else:
                await asyncio.sleep(_LOOK)


@router.get(
    "/jobs/{job}/diagnosis",
    tags=["answers"],
    responses=_told(404, 409) | {200: {"model": Diagnosis}},
)
def get_diagnosis(row: RowHere, service: ServiceHere) -> Response:
    """The diagnosis, as ``agent diagnose --json`` writes it."""
    return Response(_result(row, service, "diagnosis"), media_type="application/json")


@router.get(
    "/jobs/{job}/report",
    tags=["answers"],
    responses=_told(404, 409) | {200: {"content": {"text/html": {}}}},
)
def get_report(row: RowHere, service: ServiceHere) -> Response:
    """The whole report as one page."""
    headers = {"Content-Security-Policy": _SANDBOX, "X-Content-Type-Options": "nosniff"}
    page = _result(row, service, "report")
    return Response(page, media_type="text/html", headers=headers)


@router.get(
    "/jobs/{job}/patch",
    tags=["answers"],
    responses=_told(404, 409) | {200: {"content": {"text/x-diff": {}}}},
)
def get_patch(row: RowHere, service: ServiceHere) -> Response:
    """The fix as a unified diff, for ``git apply`` in the working directory."""
    headers = {"X-Content-Type-Options": "nosniff"}
    return Response(_result(row, service, "patch"), media_type="text/x-diff", headers=headers)


@router.post("/triage", status_code=202, tags=["triage"], responses={200: {"model": Job}})
def triage(response: Response, service: ServiceHere) -> Job:
    """Look for runs that need help, now. While a sweep waits or runs, it is that one."""
    row, is_new = service.queue.submit_once(NewJob("triage"))
    response.headers["Location"] = f"/v1/jobs/{row.id}"
    response.status_code = 202 if is_new else 200
    return job_of(row)


def _result(row: Any, service: ServiceHere, name: str) -> bytes:
    found = service.queue.result(row.number, name)
    if found is not None:
        return found
    if row.state not in ENDED:
        raise HTTPException(409, f"the job is {row.state}: it has no {name} yet")
    raise HTTPException(404, f"the job is {row.state}, without a {name}")
