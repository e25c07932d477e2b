"""The hosts on Ray that trials run on."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.attempt import Attempt
from agent.cluster import Pulse
from agent.errors import InfrastructureError, first_line
from agent.hosts import end_hosts, start_host
from agent.inside.keeper import LAST
from agent.places import Size, places
from agent.snapshot import Snapshot
from agent.workload import Workload
from probes.trace import Event

_START_TIMEOUT = 180.0
_CLOSE_TIMEOUT = 10.0
_COLLECT = 0.2
_PACE = 0.02  # seconds for each answer: the controller takes in 50 a second, of however many hosts
_MAX_LOSSES = 3


@dataclass(frozen=True)
class Told:
    """What a host has told of its trial.

    Attributes:
        run: The trial.
        events: What has happened, in order.
        lost: Why the host was lost, and the trial with it; None if it is there.
    """

    run: Attempt
    events: list[Event]
    lost: Exception | None = None


class Fleet:
    """Hosts on the Ray that this process is connected to; each runs one trial at a time.

    Args:
        size: What is set aside for a trial.
        snapshot: The user's files.
        workload: What to run, with its limits.
        environment: Environment of the user's shell.
        slots: The most hosts; None: as many as there is room for.

    Attributes:
        slots: The most hosts.

    Raises:
        InfrastructureError: There is no room for so many.
    """

    def __init__(
        self,
        size: Size,
        snapshot: Snapshot,
        workload: Workload,
        environment: Mapping[str, str],
        slots: int | None,
    ) -> None:
        room = places(size)
        self.slots = slots or room
        if self.slots > room:
            raise InfrastructureError(
                f"Ray has room for {room} trials at a time, not {self.slots} (--slots)"
            )
        self._size = size
        self._workload = workload
        self._environment = environment
        self._links = [path for _, path in snapshot.links]
        self._losses = 0
        self._pulse = Pulse()
        self._hosts: list[_Host] = []
        self.use(snapshot)
        self._hosts.append(self._new_host())

    @property
    def running(self) -> list[Attempt]:
        """The trials that hosts have now."""
        return [host.run for host in self._hosts if host.run]

    @property
    def ready(self) -> int:
        """How many hosts have started."""
        return sum(host.ready for host in self._hosts)

    def use(self, snapshot: Snapshot) -> None:
        """Run the trials that are started from now on over other files."""
        import ray

        self._shared = ray.put(snapshot)
        for host in self._hosts:
            if host.ready:
                host.actor.use.remote(self._shared)  # Before any trial that is started after it.

    def start(self, run: Attempt) -> bool:
        """Give a trial to a host; False if none is free."""
        free = (host for host in self._hosts if host.ready and host.run is None)
        host = next(free, None)
        if host is None:
            return False
        host.run = run
        run.started = time.time()
        host.actor.start.remote(run.spec)
        return True

    def grow(self, waiting: int) -> None:
        """Start hosts for trials that wait, as long as there is room."""
        # A host takes seconds of a core to start: what one can do alone must not wait for others.
        starting = len(self._hosts) - self.ready
        missing = min(waiting - starting, self.slots - len(self._hosts))
        self._hosts += [self._new_host() for _ in range(missing)]

    def cancel(self, number: int) -> None:
        """End a trial, if one of the hosts has it; it still has an ending."""
        for host in self._hosts:
            if host.run and host.run.spec.number == number:
                host.run.cancelled = True
                host.actor.cancel.remote()

    def collect(self, timeout: float) -> Told | None:
        """What one host has told, or None after ``timeout`` seconds without a word.

        Raises:
            InfrastructureError: Trials cannot be run here.
        """
        import ray

        pace = _PACE * len(self._hosts)
        asked = {host.ask(pace): host for host in self._hosts if host.run or not host.ready}
        if not asked:
            time.sleep(timeout)
            return None
        self._pulse.feel()
        ready, _ = ray.wait(list(asked), timeout=timeout)
        if not ready:
            self._check_patience()
            return None
        host = asked[ready[0]]
        # Behind the others, which may be just as ready.
        self._hosts.remove(host)
        self._hosts.append(host)
        if host.run:
            return self._read(host, host.run)
        self._welcome(host)
        return None

    def close(self) -> None:
        """End all hosts with what they run, or keep them for the next launcher."""
        import ray

        there = [host.actor for host in self._hosts if host.ready]
        end_hosts(self._size, there, _CLOSE_TIMEOUT)
        for host in self._hosts:
            if not host.ready:
                ray.kill(host.actor)
        self._hosts = []

    def _read(self, host: _Host, run: Attempt) -> Told:
        import ray

        try:
            events: list[Event] = ray.get(host.take())
        except ray.exceptions.RayError as error:
            self._replace(host, error)
            return Told(run, [], lost=error)
        self._losses = 0
        if events and events[-1]["event"] in LAST:
            host.run = None
        return Told(run, events)

    def _welcome(self, host: _Host) -> None:
        """A new host has answered."""
        import ray

        try:
            problem = ray.get(host.take())
        except ray.exceptions.RayError as error:
            self._replace(host, error)
            return
        if problem:
            raise InfrastructureError(f"trials cannot run: {problem}")
        host.ready = True
        host.actor.use.remote(self._shared)

    def _replace(self, host: _Host, error: Exception) -> None:
        """Start a new host in the place of a lost one; trials come to it once it answers."""
        import ray

        self._losses += 1
        if self._losses > _MAX_LOSSES:
            raise InfrastructureError(f"Ray loses every host: {first_line(error)}") from error
        with contextlib.suppress(Exception):  # It may be out of reach only, and keep its place.
            ray.kill(host.actor)
        self._hosts[self._hosts.index(host)] = self._new_host()

    def _check_patience(self) -> None:
        """See to it that somebody can run what waits, some day."""
        late = time.monotonic() - _START_TIMEOUT
        if all(not host.ready and host.since < late for host in self._hosts):
            raise InfrastructureError(
                f"Ray gave no place of {self._size} within {_START_TIMEOUT:.0f} s: others have it"
            )

    def _new_host(self) -> _Host:
        about = self._shared, self._workload, self._environment
        actor = start_host(self._size, *about)
        linked = [path for path in self._links if os.path.exists(path)]
        return _Host(actor, asked=actor.check.remote(linked))


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
