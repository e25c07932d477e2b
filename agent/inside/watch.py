"""What the host sees of the process of a trial: its events, its use of time and memory, its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import psutil

from agent.workload import Limits
from probes.facts import Ending
from probes.trace import Event

_MEASURE = 0.25
_MAX_LOG = 64 * 2**20
_TAIL_BYTES = 16 * 2**10
_TAIL_LINES = 40


class EventPipe:
    """Reads the events of a trial without ever waiting for it.

    Args:
        descriptor: The reading end of the pipe.

    Attributes:
        ending: What the process said last, once it did.
        steps: Optimizer steps done so far.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ending: Ending | None = None
        self.steps = 0
        os.set_blocking(descriptor, False)

    def read(self) -> list[Event]:
        """The events that have come in since the last call, all but the ending."""
        *lines, self._rest = (self._rest + self._take()).split(b"\n")
        events: list[Event] = []
        for line in lines:
            try:
                event = json.loads(line)
                if event["event"] == "ending":
                    self.ending = Ending(**{k: v for k, v in event.items() if k != "event"})
                    continue
            except (ValueError, TypeError, KeyError):
                continue  # Something else wrote to the pipe.
            self.steps = max(self.steps, event.get("step") or 0)
            events.append(event)
        return events

    def _take(self) -> bytes:
        chunks = []
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._descriptor, 2**20):
                chunks.append(chunk)
        return b"".join(chunks)


class Watch:
    """Keeps a process and all that it starts within limits.

    Args:
        limits: What it may use.
        pid: The process, which is the leader of its group.
        server: The forkserver that it came from, which has no other children.
        log: File that it writes to.
    """

    def __init__(self, limits: Limits, pid: int, server: int, log: Path) -> None:
        self._limits = limits
        self._pid = pid
        self._log = log
        self._server = psutil.Process(server)
        self._started = time.monotonic()
        self._measured = self._started

    @property
    def seconds(self) -> float:
        """Since the process was started."""
        return time.monotonic() - self._started

    def exceeded(self) -> Ending | None:
        """How the trial has to end if it exceeds a limit."""
        if self.seconds > self._limits.timeout:
            return Ending("timeout", message=f"exceeded {self._limits.timeout:g} s")
        if time.monotonic() - self._measured < _MEASURE:
            return None
        self._measured = time.monotonic()
        self._shorten_log()
        limit = self._limits.memory
        if limit is not None and self._uses_more_than(limit):
            return Ending("out-of-memory", message=f"exceeded {limit / 2**20:.0f} MiB")
        return None

    def kill(self) -> None:
        """End the process and everything that it started."""
        for _ in range(20):  # A member may be forking right now.
            family = self._descendants()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
            for member in family:
                with contextlib.suppress(psutil.Error):
                    member.kill()
            if not family:
                break
            time.sleep(0.002)

    def _descendants(self) -> list[psutil.Process]:
        """Living processes of the trial; its orphans are children of the forkserver."""
        try:
            found = self._server.children(recursive=True)
        except psutil.Error:
            return []
        return [process for process in found if _is_alive(process)]

    def _uses_more_than(self, limit: int) -> bool:
        """Whether resident memory is above the limit, pages that processes share counted once."""
        family = _family(self._pid)
        if sum(_memory(member, "rss") for member in family) <= limit:
            return False
        return sum(_memory(member, "pss") for member in family) > limit

    def _shorten_log(self) -> None:
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > _MAX_LOG:
                os.truncate(self._log, 0)


def vanished(exit_code: int) -> Ending:
    """The ending of a process that ended without a word, from its exit code."""
    if exit_code < 0:
        try:
            name = signal.Signals(-exit_code).name
        except ValueError:
            name = f"signal {-exit_code}"
        return Ending("killed", exit_code=exit_code, message=name)
    if exit_code == 0:
        return Ending("completed", exit_code=0)
    return Ending("exited", exit_code=exit_code, message=f"exit code {exit_code}")


def tail(log: Path) -> str:
    """The last lines of the file, of a progress bar only its last state."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(lines[-_TAIL_LINES:]).strip()


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _memory(process: psutil.Process, kind: str) -> int:
    try:
        used = process.memory_info() if kind == "rss" else process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(used, kind, used.rss))
