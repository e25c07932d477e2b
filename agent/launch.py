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
from agent.cluster import Connection, address_of, connecting, must_start
from agent.errors import InfrastructureError, first_line
from agent.fleet import Fleet
from agent.places import Size
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
        ahead: Start Ray beside the first trial; else only where there is another one to run.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        workload: Workload,
        slots: int | None = None,
        address: str | None = None,
        shelf: Path | None = None,
        ahead: bool = True,
    ) -> None:
        self._shelf = shelf
        self._ahead = ahead
        self._snapshot = snapshot
        self._workload = workload
        self._slots = slots
        self._address = address
        self._environment = dict(os.environ)
        self._stack = contextlib.ExitStack()
        self._waiting: deque[Attempt] = deque()
        self._finished: deque[Report] = deque()
        self._files = snapshot
        self._alone: Alone | None = None
        self._ray: Connection | None = None
        self._fleet: Fleet | None = None
        limits = workload.limits
        self._planned = slots or max(1, (os.cpu_count() or 1) // limits.cpus)
        # On a machine that is ours, memory is not set aside.
        kept = limits.memory if address_of(address) != "local" else None
        self._size = Size(limits.cpus, limits.gpus, kept)

    def __enter__(self) -> Launcher:
        # Which of the GPUs are free, Ray alone knows.
        if self._size.gpus or not must_start(self._address):
            try:
                self._open()
            except BaseException:  # Who is not entered is not left, either.
                self._stack.close()
                raise
        else:
            self._alone = Alone(self._files, self._workload, self._environment)
            self._stack.callback(self._alone.close, _CLOSE_TIMEOUT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._alone is not None:
            self._alone.leave()
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
        runs += [self._alone.run] if self._alone and self._alone.run else []
        return {run.spec.number for run in runs} | {number for number, _ in self._finished}

    def submit(self, spec: TrialSpec) -> None:
        """Run a trial as soon as a slot is free."""
        run = Attempt(spec, self._shelf)
        if self._alone is not None and self._alone.run is None:
            self._alone.start(run)
            if self._ahead:
                self._begin_ray()
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
        alone = self._alone.run if self._alone else None
        if self._alone is not None and alone is not None and alone.spec.number == number:
            alone.cancelled = True
            self._alone.cancel()
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

    def _begin_ray(self) -> Connection:
        """Connect to Ray, or start it, which takes seconds; does not wait for it."""
        if self._ray is None:
            cpus = self._planned * self._size.cpus  # That a local cluster must claim to have.
            self._ray = self._stack.enter_context(connecting(self._address, cpus))
        return self._ray

    def _open(self) -> Fleet:
        self._begin_ray().join()
        about = self._files, self._workload, self._environment
        self._fleet = Fleet(self._size, *about, self._slots)
        self._stack.callback(self._fleet.close)
        self._planned = self._fleet.slots
        return self._fleet

    def _place(self) -> None:
        if self._fleet is None:
            return
        free = self._planned - (self._alone is not None) - len(self._fleet.running)
        while self._waiting and free > 0 and self._fleet.start(self._waiting[0]):
            self._waiting.popleft()
            free -= 1
        self._fleet.grow(len(self._waiting))

    def _collect(self, timeout: float) -> list[Report]:
        if self._alone is None or self._alone.run is None:
            return self._collect_from_fleet(timeout)
        told = self._collect_from_fleet(0.0)
        return told or self._collect_from(self._alone, self._alone.run, min(timeout, _COLLECT))

    def _collect_from(self, alone: Alone, run: Attempt, timeout: float) -> list[Report]:
        try:
            events = alone.poll(timeout)
        except ConnectionError as error:
            self._alone = None
            events = self._lose(run, error)
        reports = list(self._take_in(run, events))
        if reports and isinstance(reports[-1][1], Outcome):
            alone.leave()
            self._alone = None
        return reports

    def _collect_from_fleet(self, timeout: float) -> list[Report]:
        if self._fleet is None:
            if self._waiting:
                self._begin_ray()
            if self._ray is not None and self._ray.ready(timeout):
                self._open()
            return []
        told = self._fleet.collect(timeout)
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
        if self._alone is not None:
            self._alone.use(snapshot)
