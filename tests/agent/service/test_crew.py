"""How the processes of a server are kept alive, with processes that only pretend."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.service import crew as module
from agent.service.crew import Crew
from agent.service.settings import Bounds, Settings

HOST = """
import sys
print("a library says something", flush=True)
print('{"address": "here:1", "cpus": 8, "gpus": 2.0, "memory": 1e10}', flush=True)
sys.stdin.read()
import time; time.sleep(60)
"""
WORKER = """
import time
print("a library says something", flush=True)
print("ready", flush=True)
print("x" * 10_000_000, flush=True)
time.sleep(60)
"""
STUBBORN = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path({asked!r}).touch())
print('{{"error": "no Ray cluster answers at here:1"}}', flush=True)
while True: time.sleep(60)
"""
FAILING = """
print('{"error": "no Ray cluster answers at here:1"}', flush=True)
"""


class Pretended(Crew):
    """A crew of processes that do nothing."""

    host = HOST

    def __init__(self, **options: Any) -> None:
        bounds = Bounds(root=Path("/"))
        super().__init__(Settings(store="", address="", bounds=bounds), {}, **options)
        self.started: list[tuple[str, Process, str]] = []

    async def _spawn(self, module: str, *arguments: str, told: str = "") -> Process:
        code = self.host if module == "ray_host" else WORKER
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code), stdin=PIPE, stdout=PIPE
        )
        self.started.append((module, process, told))
        return process

    def of(self, module: str) -> list[Process]:
        return [process for name, process, _ in self.started if name == module]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_PAUSE": 0.1, "_LOOK": 0.02, "_END": 5.0}.items():
        monkeypatch.setattr(module, name, value)


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_so():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


def _run(crew: Pretended, check: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await crew.start()
        try:
            await check()
        finally:
            await crew.stop()
        assert all(process.returncode is not None for _, process, _ in crew.started)

    asyncio.run(run())


def test_workers_share_what_ray_has() -> None:
    crew = Pretended()

    async def check() -> None:
        await _until(lambda: crew.ready == 4)
        told = Settings.model_validate_json(crew.started[-1][2])
        assert (told.address, told.bounds.cpus, told.bounds.gpus) == ("here:1", 2, 0.5)
        assert told.bounds.memory == 2 * 10**9
        assert crew.settings == told and crew.trouble == ""

    _run(crew, check)


def test_a_worker_that_dies_is_started_again() -> None:
    crew = Pretended(wanted=1)

    async def check() -> None:
        await _until(lambda: crew.ready == 1)
        crew.of("worker")[0].kill()
        await _until(lambda: len(crew.of("worker")) == 2 and crew.ready == 1)
        assert len(crew.of("ray_host")) == 1

    _run(crew, check)


def test_with_ray_all_is_started_again() -> None:
    crew = Pretended(wanted=2)

    async def check() -> None:
        await _until(lambda: crew.ready == 2)
        crew.of("ray_host")[0].kill()
        await _until(lambda: len(crew.of("worker")) == 4 and crew.ready == 2)
        assert all(worker.returncode is not None for worker in crew.of("worker")[:2])

    _run(crew, check)


def test_what_is_wrong_with_ray_is_told() -> None:
    crew = Pretended()
    crew.host = FAILING

    async def check() -> None:
        await _until(lambda: crew.trouble == "no Ray cluster answers at here:1")
        await _until(lambda: len(crew.of("ray_host")) >= 2)
        assert crew.ready == 0

    _run(crew, check)


def test_what_does_not_end_is_killed_even_where_the_server_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_END", 1.0)
    asked = tmp_path / "asked to end"
    crew = Pretended()
    crew.host = STUBBORN.format(asked=str(asked))

    async def check() -> None:
        await _until(asked.exists)

    _run(crew, check)
