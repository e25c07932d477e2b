"""What is written down while a job is worked on, and the pulse of the one who works on it."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Literal

from pydantic import TypeAdapter

from agent.progress import Listener, Progress, TrialProgressed
from agent.service.attempts import LEASE, Attempts, Claim
from agent.service.changes import Event
from agent.text import plain
from agent.view import watching

_log = logging.getLogger("agent.service.record")
_BEAT = 0.5
_EVERY = 2.0
"""Seconds from one progress of a trial to the next that is written: a long job stays small."""
_PROGRESS: TypeAdapter[Progress] = TypeAdapter(Progress)

Stop = Literal["cancelled", "lost", "late"]


class Notes:
    """Events of a job that are still to be written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []

    def add(self, kind: str, data: str) -> None:
        """Note an event; ``data`` is JSON."""
        with self._lock:
            self._events.append((kind, data))

    def say(self, text: str) -> None:
        """Note a line for a person."""
        self.add("line", json.dumps({"lines": [plain(text)]}))

    def take(self) -> list[Event]:
        """What was noted since the last call."""
        with self._lock:
            taken, self._events = self._events, []
        return taken

    def give_back(self, events: list[Event]) -> None:
        """Put back what could not be written."""
        with self._lock:
            self._events = events + self._events

    @contextmanager
    def listening(self, script: str, budget: float) -> Iterator[Listener]:
        """A listener that notes what happens, with the lines that a terminal would show.

        Args:
            script: The script as it is shown.
            budget: What may be spent on trials.
        """
        screen, latest = io.StringIO(), dict[int, float]()
        with watching(screen, script, budget, live=False) as show:

            def listen(event: Progress) -> None:
                show(event)
                if isinstance(event, TrialProgressed):
                    now = time.monotonic()
                    if now - latest.get(event.number, -_EVERY) < _EVERY:
                        return
                    latest[event.number] = now
                lines = screen.getvalue().splitlines()
                screen.seek(0)
                screen.truncate()
                told = _PROGRESS.dump_json(event).decode()
                self.add(_kind(event), f'{{"lines": {json.dumps(lines)}, "event": {told}}}')

            yield listen


def _kind(event: Progress) -> str:
    """The name of an event in a stream: ``trial-ended``."""
    name = type(event).__name__
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


class Pulse:
    """Keeps the lease of an attempt and writes its events, on a thread of its own.

    Args:
        attempts: The queue.
        claim: The attempt.
        notes: What is to be written.
        seconds: After which the attempt takes too long.
        interrupt: Interrupts the work; is called again until it has ended.

    Attributes:
        stop: Why it interrupted the work, if it did.
    """

    def __init__(
        self,
        attempts: Attempts,
        claim: Claim,
        notes: Notes,
        seconds: float,
        interrupt: Callable[[], None],
    ) -> None:
        self._attempts = attempts
        self._claim = claim
        self._notes = notes
        self._deadline = time.monotonic() + seconds
        self._interrupt = interrupt
        self._certain = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pulse", daemon=True)
        self.stop: Stop | None = None

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        renewed = 0.0
        while not self._over.wait(_BEAT):
            # Looking costs a write; an idle job needs that rarely, a cancelled one soon.
            events = self._notes.take()
            if events or time.monotonic() - renewed >= 2 * _BEAT:
                self._beat(events)
                renewed = time.monotonic()
            if time.monotonic() > self._deadline:
                self._end("late")

    def _beat(self, events: list[Event]) -> None:
        asked = time.monotonic()
        try:
            cancelling = self._attempts.beat(self._claim, events)
        except Exception:  # The database may be back before the lease is over.
            _log.warning("job %s: nothing could be written", self._claim.id, exc_info=True)
            self._notes.give_back(events)
            if asked - self._certain > 0.8 * LEASE:
                self._end("lost")
            return
        self._certain = asked
        if cancelling is None:
            self._end("lost")
        elif cancelling:
            self._end("cancelled")

    def _end(self, why: Stop) -> None:
        self.stop = self.stop or why
        self._interrupt()
