"""One attempt at a trial, as the launcher sees it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from agent.trace_stream import TraceStream
from agent.workload import Outcome, TrialSpec
from probes.trace import Event, Trace


@dataclass(eq=False)
class Attempt:
    """A trial that waits for a host or is on one.

    Attributes:
        spec: The trial.
        shelf: Folder to which its trace is written as it comes; None to have it in memory only.
        count: How many attempts there were, with this one.
        cancelled: Whether it is to end.
        trace: What it has told.
        started: When it was given to a host, in seconds since the epoch.
    """

    spec: TrialSpec
    shelf: Path | None = None
    count: int = 1
    cancelled: bool = False
    trace: Trace = field(default_factory=Trace)
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self._stream = TraceStream(self.shelf / str(self.spec.number)) if self.shelf else None

    def feed(self, event: Event) -> None:
        """Take in what its host tells."""
        self.trace.feed(event)
        if self._stream is not None:
            self._stream.feed(event)

    def outcome(self) -> Outcome:
        """What it gave."""
        stream = self._stream
        place = stream.folder if stream is not None and stream.close() else None
        seconds = time.time() - self.started
        return Outcome(self.spec, self.trace, self.started, seconds, place=place)
