"""The server process: puts the parts together, and ends them in order."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from agent.errors import UsageError
from agent.service.app import create_app
from agent.service.attempts import Attempts
from agent.service.crew import Crew
from agent.service.listening import check_reach, listen, run
from agent.service.queue import NewJob, Queue
from agent.service.security import Access, read_token
from agent.service.settings import Bounds, Settings
from agent.service.state import Service
from agent.service.tables import Database
from agent.store import home
from agent.triage import schedule
from agent.triage.rerun import passed_on

_LOOK = 2.0
_PURGE = 3600.0
_LINGER = 3
"""Seconds that clients have for what they are reading when the server ends."""
_log = logging.getLogger("agent.service")


def serve(asked: dict[str, Any]) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        asked: The options of the command by name.

    Returns:
        The exit code.

    Raises:
        UsageError: An option makes no sense.
        InfrastructureError: The database or the port cannot be had.
    """
    token, times = read_token(asked["token_file"]), _times(asked)
    host = asked["host"]
    check_reach(f"--host {host}", host, token)
    settings = _settings(asked)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    database = Database(settings.store)
    environment = passed_on(asked["env"], os.environ)
    crew = Crew(settings, environment, asked["workers"], asked["address"])
    queue = Queue(database)
    keep = schedule.seconds(asked["keep"])
    lifespan = _lifespan(crew, _chores(database, keep, times))
    app = create_app(
        Service(queue, crew, asked["queue"]), Access(token, host, asked["rate"]), lifespan
    )
    run(app, listen(host, asked["port"], dual=True), host, "/v1", _LINGER)
    database.close()
    return 0


def _settings(asked: dict[str, Any]) -> Settings:
    root = Path(asked["root"])
    if not root.is_dir():
        raise UsageError(f"--root {asked['root']} is no folder")
    bounds = Bounds(
        root=root.resolve(),
        cpus=os.cpu_count() or 1,
        memory=asked["memory"],
        budget=asked["max_budget"],
        seconds=asked["max_time"],
        tracking_uri=asked["tracking_uri"],
        storage=asked["storage"],
        experiment=asked["experiment"],
    )
    try:
        triage = tuple(shlex.split(asked["triage_options"]))
    except ValueError as error:
        raise UsageError(f"--triage-options cannot be read: {error}") from error
    store = asked["store"] or f"sqlite:///{home() / 'service.db'}"
    return Settings(store=store, address="", bounds=bounds, triage=triage, environment=asked["env"])


def _times(asked: dict[str, Any]) -> Iterator[datetime] | None:
    now = datetime.now().astimezone()
    every, cron = asked["triage_every"], asked["triage_cron"]
    if every and cron:
        raise UsageError("--triage-every and --triage-cron exclude each other")
    if cron:
        return schedule.cron(cron, now)
    return schedule.every(schedule.seconds(every), now) if every else None


def _lifespan(
    crew: Crew, chores: Callable[[], AsyncIterator[None]]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await crew.start()
        task = asyncio.create_task(_forever(chores))
        try:
            yield
        finally:
            task.cancel()
            await crew.stop()

    return lifespan


async def _forever(chores: Callable[[], AsyncIterator[None]]) -> None:
    while True:
        try:
            async for _ in chores():
                await asyncio.sleep(_LOOK)
        except SQLAlchemyError as error:  # It may be back the next time.
            _log.error("the database of the queue fails: %s", str(error).partition("\n")[0])
            await asyncio.sleep(_LOOK)


def _chores(
    database: Database, keep: float, times: Iterator[datetime] | None
) -> Callable[[], AsyncIterator[None]]:
    """What has to be done again and again: jobs of the dead, old jobs, the schedule of triage."""
    queue, attempts = Queue(database), Attempts(database)
    due = next(times) if times else None

    async def chores() -> AsyncIterator[None]:
        nonlocal due
        loop = asyncio.get_running_loop()
        purged = -_PURGE
        while True:
            back = await asyncio.to_thread(attempts.reclaim)
            if back:
                _log.warning("%d jobs of killed workers were put back", back)
            if loop.time() - purged > _PURGE:
                purged = loop.time()
                await asyncio.to_thread(queue.purge, keep)
            if times is not None and due is not None and datetime.now(due.tzinfo) >= due:
                await asyncio.to_thread(queue.submit_once, NewJob("triage"))
                now = datetime.now(due.tzinfo)
                due = next(time for time in times if time > now)
            yield

    return chores
