"""Runs trials on Ray: one host per slot, events streamed back while they run.

The first trial does not wait for a Ray that has to be started: it runs beside that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from agent.alone import Alone
from agent.attempt import Attempt
from agent.cluster import Pulse, Size, address_of, connected, must_start, places
from agent.errors import InfrastructureError, first_line
from agent.hosts import end_hosts, start_host
from agent.snapshot import Snapshot
from agent.workload import Outcome, TrialSpec, Workload
from probes.trace import Ending, Event

_START_TIMEOUT = 180.0
_CLOSE_TIMEOUT = 10.0
_COLLECT = 0.2
_PACE = 0.02  # seconds for each answer: the controller takes in 50 a second, of however many hosts
_MAX_LOSSES = 3
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
        self._hosts: list[_Host] = []
        self._waiting: deque[Attempt] = deque()
        self._finished: deque[Report] = deque()
        self._losses = 0
        self._files = snapshot
        self._first: Alone | None = None
        self._opened = False
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
        running = {host.run.spec.number for host in self._hosts if host.run}
        waiting = {run.spec.number for run in self._waiting}
        running |= {self._first.run.spec.number} if self._first else set()
        return running | waiting | {number for number, _ in self._finished}

    def submit(self, spec: TrialSpec) -> None:
        """Run a trial as soon as a slot is free."""
        run = Attempt(spec, self._shelf)
        if not self._opened:
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
        for host in self._hosts:
            if host.run and host.run.spec.number == number:
                host.run.cancelled = True
                host.actor.cancel.remote()

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
            self._pulse = Pulse()
            stack.callback(self._close_hosts)
            self._start_hosts()
            self._stack.enter_context(stack.pop_all())
        self._opened = True

    def _begin_alone(self, run: Attempt) -> None:
        run.started = time.time()
        self._first = Alone(self._files, self._workload, self._environment, run)
        self._stack.callback(self._first.close, _CLOSE_TIMEOUT)

    def _collect(self, timeout: float) -> list[Report]:
        if self._first is None:
            return self._collect_from_hosts(timeout)
        told = self._collect_from_hosts(0.0)
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

    def _collect_from_hosts(self, timeout: float) -> list[Report]:
        import ray

        pace = _PACE * len(self._hosts)
        asked = {host.ask(pace): host for host in self._hosts if host.run or not host.ready}
        if not asked:
            time.sleep(timeout)
            return []
        self._pulse.feel()
        ready, _ = ray.wait(list(asked), timeout=timeout)
        if not ready:
            self._check_patience()
            return []
        host = asked[ready[0]]
        # Behind the others, which may be just as ready.
        self._hosts.remove(host)
        self._hosts.append(host)
        return self._read(host) if host.run else self._welcome(host)

    def _read(self, host: _Host) -> list[Report]:
        import ray

        assert host.run is not None
        run = host.run
        try:
            events = ray.get(host.take())
            self._losses = 0
        except ray.exceptions.RayError as error:
            self._replace(host, error)
            events = self._lose(run, error)
        reports = list(self._take_in(run, events))
        if reports and isinstance(reports[-1][1], Outcome):
            host.run = None
        return reports

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

    def _replace(self, host: _Host, error: Exception) -> None:
        """Start a new host in the place of a lost one; trials come to it once it answers."""
        import ray

        self._losses += 1
        if self._losses > _MAX_LOSSES:
            raise InfrastructureError(f"Ray loses every host: {first_line(error)}") from error
        with contextlib.suppress(Exception):  # It may be out of reach only, and keep its place.
            ray.kill(host.actor)
        self._hosts[self._hosts.index(host)] = self._new_host()

    def _welcome(self, host: _Host) -> list[Report]:
        """A new host has answered."""
        import ray

        try:
            problem = ray.get(host.take())
        except ray.exceptions.RayError as error:
            self._replace(host, error)
            return []
        if problem:
            raise InfrastructureError(f"trials cannot run: {problem}")
        host.ready = True
        host.actor.use.remote(self._shared)
        return []

    def _check_patience(self) -> None:
        """See to it that somebody can run what waits, some day."""
        late = time.monotonic() - _START_TIMEOUT
        if all(not host.ready and host.since < late for host in self._hosts):
            raise InfrastructureError(
                f"Ray gave no place of {self._size} within {_START_TIMEOUT:.0f} s: others have it"
            )

    def _place(self) -> None:
        free = self._planned - (self._first is not None)
        free -= sum(host.run is not None for host in self._hosts)
        idle = [host for host in self._hosts if host.ready and host.run is None]
        for host in idle[: max(0, free)]:
            if self._waiting:
                host.run = self._waiting.popleft()
                host.run.started = time.time()
                host.actor.start.remote(host.run.spec)
        # A host takes seconds of a core to start: what one can do alone must not wait for others.
        starting = sum(not host.ready for host in self._hosts)
        missing = min(len(self._waiting) - starting, self._planned - len(self._hosts))
        self._hosts += [self._new_host() for _ in range(missing)]

    def _start_hosts(self) -> None:
        import ray

        room = places(self._size)
        self._planned = self._slots or room
        if self._planned > room:
            raise InfrastructureError(
                f"Ray has room for {room} trials at a time, not {self._planned} (--slots)"
            )
        self._shared = ray.put(self._files)
        self._hosts = [self._new_host()]

    def _use(self, snapshot: Snapshot) -> None:
        import ray

        self._files = snapshot
        if not self._opened:
            return
        self._shared = ray.put(snapshot)
        for host in self._hosts:
            if host.ready:
                host.actor.use.remote(self._shared)  # Before any trial that is started after it.

    def _new_host(self) -> _Host:
        about = self._shared, self._workload, self._environment
        actor = start_host(self._size, *about)
        linked = [path for _, path in self._snapshot.links if os.path.exists(path)]
        return _Host(actor, asked=actor.check.remote(linked))

    def _close_hosts(self) -> None:
        import ray

        there = [host.actor for host in self._hosts if host.ready]
        end_hosts(self._size, there, _CLOSE_TIMEOUT)
        for host in self._hosts:
            if not host.ready:
                ray.kill(host.actor)
        self._hosts = []


@dataclass(eq=False)
class _Host:
    """An actor, its trial and the answer that is awaited from it.

    Attributes:
        actor: Runs a `Keeper`.
        asked: An answer to come; the first one says whether it is fit for trials.
        ready: Whether it has said so.
        run: Its trial.
        since: When it was asked for; it may have to wait for a place.
    """

    actor: Any
    asked: Any
    ready: bool = False
    run: Attempt | None = None
    since: float = field(default_factory=time.monotonic)

    def ask(self, pace: float) -> Any:
        """Ask for events, unless an answer is still awaited.

        Args:
            pace: Seconds over which events are gathered into one answer.
        """
        if self.asked is None:
            self.asked = self.actor.collect.remote(max(_COLLECT, pace), pace)
        return self.asked

    def take(self) -> Any:
        """The answer that is ready; the next `ask` asks anew."""
        asked, self.asked = self.asked, None
        return asked
