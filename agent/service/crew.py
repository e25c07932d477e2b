"""Starts the processes that do the work, and starts them again when they die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass

from agent.errors import InfrastructureError
from agent.service.settings import Settings

_START = 300.0  # seconds that Ray, or the imports of a worker, may take
_END = 40.0
_MEMORY = 0.8
"""Of what Ray has, for the trials of all workers."""
_PAUSE = 5.0
_LOOK = 0.3
_SHORT = 30.0
"""A worker that lives no longer than this is started again after a pause only."""
_log = logging.getLogger("agent.service")


@dataclass
class Crew:
    """Ray and the workers of one server.

    Attributes:
        settings: What workers are told; address and shares are filled in when Ray is there.
        environment: What workers, and so scripts, see of ours.
        wanted: Workers; None: as many as Ray has room for, at two cores for each.
        address: Ray cluster to join; None for a local one.
        ready: Workers that can take jobs.
        trouble: Why there are none.
    """

    settings: Settings
    environment: Mapping[str, str]
    wanted: int | None = None
    address: str | None = None
    ready: int = 0
    trouble: str = "starting"
    size: int = 0
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; does not wait until there are workers."""
        self._task = asyncio.create_task(self._keep_working())

    async def stop(self) -> None:
        """End all in order: running jobs are put back first."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep_working(self) -> None:
        while True:
            try:
                await self._work()
            except InfrastructureError as error:
                self.trouble = str(error)
                _log.error("%s", error)
            except Exception:
                self.trouble = "the log of the server tells why there are no workers"
                _log.exception("starting the workers again")
            await asyncio.sleep(_PAUSE)

    async def _work(self) -> None:
        """Start Ray and the workers, and keep the workers alive for as long as Ray lives."""
        cores = str(os.cpu_count() or 1)
        host = await self._spawn("ray_host", cores, *([self.address] if self.address else []))
        tasks: list[asyncio.Task[None]] = []
        try:
            settings = self._shared(await _said(host, "{"))
            tasks = [asyncio.create_task(self._keep(settings)) for _ in range(self.size)]
            tasks.append(asyncio.create_task(_until_end(host)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            raise InfrastructureError("Ray has died: starting it again")
        finally:
            await _surely(self._end_all(tasks, host))

    def _shared(self, told: str) -> Settings:
        """What each worker may use of the Ray that is there."""
        there = json.loads(told or "{}")
        if "address" not in there:
            raise InfrastructureError(there.get("error", "Ray does not start"))
        self.size = self.wanted or max(1, there["cpus"] // 2)
        memory = int(_MEMORY * there["memory"] / self.size)
        share = {
            "cpus": max(1, there["cpus"] // self.size),
            "gpus": there["gpus"] / self.size,
            "memory": self.settings.bounds.memory or memory or None,
        }
        bounds = self.settings.bounds.model_copy(update=share)
        # Clients are held to the same from now on.
        self.settings = self.settings.model_copy(
            update={"bounds": bounds, "address": there["address"]}
        )
        return self.settings

    async def _keep(self, settings: Settings) -> None:
        """Keep one worker alive."""
        while True:
            began = time.monotonic()
            worker = await self._spawn("worker", told=settings.model_dump_json())
            ready = False
            try:
                ready = bool(await _said(worker, "ready"))
                self.ready += ready
                self.trouble = "" if ready else "workers do not start"
                await _until_end(worker)
                _log.error("a worker ended with code %s: starting another one", worker.returncode)
            finally:
                self.ready -= ready
                await _surely(_end(worker))
            if time.monotonic() - began < _SHORT:
                await asyncio.sleep(_PAUSE)

    async def _spawn(self, module: str, *arguments: str, told: str = "") -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", f"agent.service.{module}", str(os.getpid()), *arguments),
            env=self.environment,
            stdin=PIPE,
            stdout=PIPE,
            stderr=None,
            start_new_session=True,  # Ctrl-C is for the server, which ends them in order.
        )
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(told.encode() + b"\n")
            await process.stdin.drain()
            process.stdin.close()
        return process

    async def _end_all(self, tasks: list[asyncio.Task[None]], host: Process) -> None:
        """End the workers, then Ray."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.ready = 0
        await _end(host)


async def _surely(ending: Coroutine[None, None, None]) -> None:
    """Wait until all is ended, even where this task is cancelled meanwhile."""
    task = asyncio.create_task(ending)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


async def _end(process: Process) -> None:
    for end in (process.terminate, process.kill):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                end()
            # Not wait_for: before Python 3.12, it may swallow that this task is cancelled.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END):
                    await _until_end(process)


async def _until_end(process: Process) -> None:
    """Wait for the end of a process, whoever else may hold its pipe."""
    reading = asyncio.create_task(_read(process))
    try:
        while process.returncode is None:
            await asyncio.sleep(_LOOK)
    finally:
        reading.cancel()


async def _read(process: Process) -> None:
    assert process.stdout is not None
    while await process.stdout.read(65536):  # A full pipe would stop it.
        pass


async def _said(process: Process, beginning: str) -> str:
    """The line with which a process says that it is ready; empty where it does not."""
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError, ValueError):
        async with asyncio.timeout(_START):
            async for line in process.stdout:  # Libraries may say something before.
                if line.startswith(beginning.encode()):
                    return line.decode()
    return ""
