"""Runs trials on Ray: one host per slot, events streamed back while they run."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from agent.errors import InfrastructureError, first_line
from agent.hosts import end_hosts, start_host
from agent.snapshot import Snapshot
from agent.workload import Outcome, TrialSpec, Workload
from probes.trace import Ending, Event, Trace

_CONNECT_TIMEOUT = 5.0
_START_TIMEOUT = 180.0
_CLOSE_TIMEOUT = 10.0
_COLLECT = 0.2
_MAX_LOSSES = 3
_OBJECT_STORE = 100 * 2**20

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
    """

    def __init__(
        self,
        snapshot: Snapshot,
        workload: Workload,
        slots: int | None = None,
        address: str | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._workload = workload
        self._slots = slots
        self._address = address
        self._environment = dict(os.environ)
        self._stack = contextlib.ExitStack()
        self._hosts: list[_Host] = []
        self._waiting: deque[TrialSpec] = deque()
        self._finished: deque[Report] = deque()
        self._losses = 0

    def __enter__(self) -> Launcher:
        with contextlib.ExitStack() as stack:
            stack.enter_context(connected(self._address, self._needed()))
            stack.callback(self._close_hosts)
            self._start_hosts()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        return len(self._hosts)

    @property
    def pending(self) -> set[int]:
        """Numbers of the trials whose outcome has not been given yet."""
        running = {host.run.spec.number for host in self._hosts if host.run}
        return running | {spec.number for spec in self._waiting} | {n for n, _ in self._finished}

    def submit(self, spec: TrialSpec) -> None:
        """Run a trial as soon as a slot is free."""
        self._waiting.append(spec)
        self._place()

    def cancel(self, number: int) -> None:
        """End a trial; it still gets an outcome, ``cancelled`` unless it has ended by itself."""
        for spec in self._waiting:
            if spec.number == number:
                self._waiting.remove(spec)
                run = _Run(spec)
                run.trace.feed({"event": "ending", **asdict(Ending("cancelled"))})
                self._finished.append((number, run.outcome()))
                return
        for host in self._hosts:
            if host.run and host.run.spec.number == number:
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
            if time.monotonic() >= deadline:
                break
        self._place()
        return reports

    def _collect(self, timeout: float) -> list[Report]:
        import ray

        asked = {host.ask(): host for host in self._hosts if host.run}
        if not asked:
            time.sleep(timeout)
            return []
        ready, _ = ray.wait(list(asked), timeout=timeout)
        if not ready:
            return []
        host = asked[ready[0]]
        # Behind the others, which may be just as ready.
        self._hosts.remove(host)
        self._hosts.append(host)
        return self._read(host)

    def _read(self, host: _Host) -> list[Report]:
        import ray

        assert host.run is not None
        run, number = host.run, host.run.spec.number
        try:
            events = ray.get(host.take())
            self._losses = 0
        except ray.exceptions.RayError as error:
            events = [self._replace(host, error)]
        reports: list[Report] = []
        for event in events:
            if event["event"] == "broken":
                raise InfrastructureError(f"a trial could not be run: {event['text']}")
            run.trace.feed(event)
            if event["event"] == "ending":
                host.run = None
                reports.append((number, run.outcome()))
            else:
                reports.append((number, event))
        return reports

    def _replace(self, host: _Host, error: Exception) -> Event:
        """Start a new host in the place of a lost one; gives the ending of its trial."""
        self._losses += 1
        if self._losses > _MAX_LOSSES:
            raise InfrastructureError(f"Ray loses every host: {first_line(error)}") from error
        host.actor = self._new_actor()
        return {"event": "ending", "status": "killed", "message": f"host: {first_line(error)}"}

    def _place(self) -> None:
        for host in self._hosts:
            if host.run is None and self._waiting:
                host.run = _Run(self._waiting.popleft())
                host.actor.start.remote(host.run.spec)

    def _needed(self) -> int:
        """Cores that a local cluster must claim to have."""
        cpus = self._workload.limits.cpus
        slots = self._slots or max(1, (os.cpu_count() or 1) // cpus)
        return slots * cpus

    def _start_hosts(self) -> None:
        import ray

        limits = self._workload.limits
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        slots = self._slots or max(1, int(there.get("CPU", 1)) // limits.cpus)
        if limits.gpus and self._slots is None:
            slots = max(1, min(slots, int(there.get("GPU", 0) / limits.gpus)))
        self._shared = ray.put(self._snapshot)
        self._hosts = [_Host(self._new_actor()) for _ in range(slots)]
        checks = [host.actor.check.remote() for host in self._hosts]
        ready, late = ray.wait(checks, num_returns=slots, timeout=_START_TIMEOUT)
        if late:
            raise InfrastructureError(
                f"Ray gave {len(ready)} of {slots} places of {limits.cpus} CPU and "
                f"{limits.gpus:g} GPU within {_START_TIMEOUT:.0f} s: ask for less"
            )
        try:
            problem = next(filter(None, ray.get(ready)), "")
        except ray.exceptions.RayError as error:
            problem = first_line(error)
        if problem:
            raise InfrastructureError(f"trials cannot run: {problem}")

    def _use(self, snapshot: Snapshot) -> None:
        import ray

        self._shared = ray.put(snapshot)
        ray.get([host.actor.use.remote(self._shared) for host in self._hosts])

    def _new_actor(self) -> Any:
        about = self._shared, self._workload, self._environment
        return start_host(self._workload.limits, *about)

    def _close_hosts(self) -> None:
        end_hosts(self._workload.limits, [host.actor for host in self._hosts], _CLOSE_TIMEOUT)
        self._hosts = []


@dataclass(eq=False)
class _Run:
    """A trial that has been sent to a host."""

    spec: TrialSpec
    trace: Trace = field(default_factory=Trace)
    started: float = field(default_factory=time.time)

    def outcome(self) -> Outcome:
        """What it gave."""
        return Outcome(self.spec, self.trace, self.started, time.time() - self.started)


@dataclass(eq=False)
class _Host:
    """An actor, its trial and the answer that is awaited from it."""

    actor: Any
    run: _Run | None = None
    asked: Any = None

    def ask(self) -> Any:
        """Ask for events, unless an answer is still awaited."""
        if self.asked is None:
            self.asked = self.actor.collect.remote(_COLLECT)
        return self.asked

    def take(self) -> Any:
        """The answer that is ready; the next `ask` asks anew."""
        asked, self.asked = self.asked, None
        return asked


_users: list[str] = []
_opened = contextlib.ExitStack()


@contextlib.contextmanager
def connected(address: str | None, cpus: int) -> Iterator[None]:
    """A connection to Ray, ended with all that was started for it."""
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address != "local":
        _try_connect(address)
        # Local clusters ask for a token since Ray 2.59, and this is read at import.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    if not ray.is_initialized():
        folder = Path(tempfile.mkdtemp(prefix="agent-", dir=_short_folder()))
        _opened.callback(shutil.rmtree, folder, ignore_errors=True)
        _opened.callback(ray.shutdown)
        # Workers put the current folder first on their search path: it may hold an agent.py.
        try:
            with contextlib.chdir(folder):
                _init(address, cpus, folder)
        except BaseException:
            _opened.close()
            raise
    _users.append(address)
    try:
        yield
    finally:
        _users.pop()
        if not _users:  # The last one ends what the first one has opened; nothing if it did not.
            _opened.close()


def cluster() -> tuple[str, float, float]:
    """Address, cores and GPUs of the Ray that this process is connected to."""
    import ray

    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    address: str = ray.get_runtime_context().gcs_address
    return address, there.get("CPU", 0.0), there.get("GPU", 0.0)


def _init(address: str, cpus: int, folder: Path) -> None:
    import ray

    local: dict[str, Any] = {}
    if address == "local":
        local = {
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            "_temp_dir": str(folder),
        }
    for last in (False, True):
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **local)
            return
        except Exception as error:
            # Ray gives a node of its own 30 seconds to start, which a busy machine may need twice.
            if last or "timed out during startup" not in str(error):
                raise InfrastructureError(f"Ray at {address}: {first_line(error)}") from error
            ray.shutdown()


def _try_connect(address: str) -> None:
    """Find a dead address at once: Ray itself tries for minutes."""
    host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if not port.isdigit():  # "auto" and the like.
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(f"no Ray cluster answers at {address}: {reason}") from error


def _short_folder() -> str | None:
    """Paths of Unix sockets may have no more than about 100 characters."""
    return "/tmp" if sys.platform != "win32" else None
