"""Runs trials, several at a time, and tells what happens in them while they run.

The first trial does not wait for a Ray that has to be started: it runs beside that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from agent.alone import Alone
from agent.attempt import Attempt
from agent.cluster import Size, address_of, connected, must_start
from agent.errors import InfrastructureError, first_line
from agent.fleet import Fleet
from agent.snapshot import Snapshot
from agent.workload import Outcome, TrialSpec, Workload
from probes.facts import Ending
from probes.trace import Event

_CLOSE_TIMEOUT = 10.0
_COLLECT = 0.2
_ATTEMPTS = 2  # at a trial whose host is lost; it may have been the trial that did it

_CANCELLED: Event = {"event": "ending", **asdict(Ending("cancelled"))}

Report = tuple[int, Event | Outcome]


class Launcher:
    """Runs trials of one workload, several at a time.

    ::

        with Launcher(snapshot, workload) as launcher:
            launcher.submit(TrialSpec(number=0))
            while launcher.pending:
                for number, report in launcher.poll():
                    ...  # an event, or the trial's Outcome as its last report

    Args:
        snapshot: The user's files.
        workload: What to run, with its limits.
        slots: Trials at a time; None: as many as the cores allow.
        address: Ray cluster to join; None: the one that ``RAY_ADDRESS`` names, or a local one.
        shelf: Folder to which traces are written as they come; None to have them in memory only.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        workload: Workload,
        slots: int | None = None,
        address: str | None = None,
        shelf: Path | None = None,
    ) -> None:
        self._shelf = shelf
        self._snapshot = snapshot
        self._workload = workload
        self._slots = slots
        self._address = address
        self._environment = dict(os.environ)
        self._stack = contextlib.ExitStack()
        self._waiting: deque[Attempt] = deque()
        self._finished: deque[Report] = deque()
        self._files = snapshot
        self._first: Alone | None = None
        self._fleet: Fleet | None = None
        limits = workload.limits
        self._planned = slots or max(1, (os.cpu_count() or 1) // limits.cpus)
        # On a machine that is ours, memory is not set aside.
        kept = limits.memory if address_of(address) != "local" else None
        self._size = Size(limits.cpus, limits.gpus, kept)

    def __enter__(self) -> Launcher:
        # Which of the GPUs are free, Ray alone knows.
        if self._size.gpus or not must_start(self._address):
            self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._first is not None:
            self._first.leave()
        self._stack.close()

    @contextlib.contextmanager
    def over(self, snapshot: Snapshot) -> Iterator[Launcher]:
        """Run the trials that are submitted meanwhile on other files; no other may be pending."""
        self._use(snapshot)
        try:
            yield self
        finally:
            self._use(self._snapshot)

    @property
    def slots(self) -> int:
        """How many trials run at a time."""
        return self._planned

    @property
    def pending(self) -> set[int]:
        """Numbers of the trials whose outcome has not been given yet."""
        runs = [*self._waiting, *(self._fleet.running if self._fleet else ())]
        runs += [self._first.run] if self._first else []
        return {run.spec.number for run in runs} | {number for number, _ in self._finished}

    def submit(self, spec: TrialSpec) -> None:
        """Run a trial as soon as a slot is free."""
        run = Attempt(spec, self._shelf)
        if self._fleet is None:
            self._begin_alone(run)
            self._open()
            return
        self._waiting.append(run)
        self._place()

    def cancel(self, number: int) -> None:
        """End a trial; it still gets an outcome, ``cancelled`` unless it has ended by itself."""
        for run in self._waiting:
            if run.spec.number == number:
                self._waiting.remove(run)
                run.feed(_CANCELLED)
                self._finished.append((number, run.outcome()))
                return
        if self._first is not None and self._first.run.spec.number == number:
            self._first.run.cancelled = True
            self._first.cancel()
        if self._fleet is not None:
            self._fleet.cancel(number)

    def poll(self, timeout: float = 0.5) -> list[Report]:
        """What has happened, in order; waits for at least one report.

        At most one of the reports is an outcome, and then it is the last one.

        Args:
            timeout: Seconds after which it returns with nothing.

        Raises:
            InfrastructureError: Trials cannot be run here.
        """
        deadline = time.monotonic() + timeout
        reports = [self._finished.popleft()] if self._finished else []
        while not reports:
            reports = self._collect(max(0.0, deadline - time.monotonic()))
            self._place()
            if time.monotonic() >= deadline:
                break
        return reports

    def _open(self) -> None:
        """Connect to Ray, or start it, which takes seconds."""
        with contextlib.ExitStack() as stack:
            cpus = self._planned * self._size.cpus  # That a local cluster must claim to have.
            stack.enter_context(connected(self._address, cpus))
            about = self._files, self._workload, self._environment
            self._fleet = Fleet(self._size, *about, self._slots)
            stack.callback(self._fleet.close)
            self._stack.enter_context(stack.pop_all())
        self._planned = self._fleet.slots

    def _begin_alone(self, run: Attempt) -> None:
        run.started = time.time()
        self._first = Alone(self._files, self._workload, self._environment, run)
        self._stack.callback(self._first.close, _CLOSE_TIMEOUT)

    def _place(self) -> None:
        if self._fleet is None:
            return
        free = self._planned - (self._first is not None) - len(self._fleet.running)
        while self._waiting and free > 0 and self._fleet.start(self._waiting[0]):
            self._waiting.popleft()
            free -= 1
        self._fleet.grow(len(self._waiting))

    def _collect(self, timeout: float) -> list[Report]:
        if self._first is None:
            return self._collect_from_fleet(timeout)
        told = self._collect_from_fleet(0.0)
        return told or self._collect_from(self._first, min(timeout, _COLLECT))

    def _collect_from(self, first: Alone, timeout: float) -> list[Report]:
        try:
            events = first.poll(timeout)
        except ConnectionError as error:
            self._first = None
            events = self._lose(first.run, error)
        reports = list(self._take_in(first.run, events))
        if reports and isinstance(reports[-1][1], Outcome):
            first.leave()
            self._first = None
        return reports

    def _collect_from_fleet(self, timeout: float) -> list[Report]:
        told = self._fleet.collect(timeout) if self._fleet else None
        if told is None:
            return []
        events = self._lose(told.run, told.lost) if told.lost else told.events
        return list(self._take_in(told.run, events))

    def _take_in(self, run: Attempt, events: Iterable[Event]) -> Iterator[Report]:
        for event in events:
            if event["event"] == "broken":
                raise InfrastructureError(f"a trial could not be run: {event['text']}")
            run.feed(event)
            ended = event["event"] == "ending"
            yield run.spec.number, run.outcome() if ended else event

    def _lose(self, run: Attempt, error: Exception) -> list[Event]:
        """A host is lost: its trial is run again from the start; gives what is to be told of it."""
        why = first_line(error)
        if run.cancelled:
            return [_CANCELLED]
        if run.count >= _ATTEMPTS:
            return [{"event": "ending", "status": "killed", "message": f"host: {why}"}]
        again = Attempt(run.spec, self._shelf, count=run.count + 1)
        told = {"event": "note", "text": f"run again, its host was lost: {why}", "host": "lost"}
        again.feed(told)
        self._waiting.appendleft(again)
        return [told]

    def _use(self, snapshot: Snapshot) -> None:
        self._files = snapshot
        if self._fleet is not None:
            self._fleet.use(snapshot)
