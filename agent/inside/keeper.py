"""The host's side of a trial: starts its process, reads its events, keeps it within its limits."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.util
import os
import queue
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from agent.inside import process
from agent.inside.errors import one_line
from agent.inside.isolation import die_with_parent
from agent.inside.job import Job
from agent.inside.scratch import Scratch
from agent.inside.watch import EventPipe, Watch, tail, vanished
from agent.snapshot import LARGE, Snapshot
from agent.workload import TrialSpec, Workload
from probes.facts import Ending
from probes.trace import Event

_LOOK = 0.05
LAST = ("ending", "broken")
"""Events after which a trial tells nothing."""
_CANCELLED = Ending("cancelled", message="cancelled")


class Keeper:
    """Runs one trial at a time, each in a process of its own.

    Args:
        snapshot: The user's files.
        workload: What to run, with its limits.
        environment: Environment of the user's shell.
    """

    def __init__(
        self, snapshot: Snapshot, workload: Workload, environment: Mapping[str, str]
    ) -> None:
        self._snapshot = snapshot
        self._workload = workload
        self._environment = dict(environment)
        # Short, because sockets of multiprocessing live below it.
        self._root = Path(tempfile.mkdtemp(prefix="agent-"))
        self._scratch = Scratch(self._root)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        # Ray's worker may linger when its raylet was killed; what it runs ends with it.
        die_with_parent()
        _hide_main()
        _pin_environment(workload.limits.cpus)
        # The forkserver puts the current folder first on its search path.
        os.chdir(self._root)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["agent.inside.preload"])

    def check(self, linked: Sequence[str] = ()) -> str:
        """Start the forkserver; says in one line why trials cannot run here, or nothing.

        Args:
            linked: Files that are read where they lie, and must be there.
        """
        for path in linked:
            if not os.path.exists(path):
                return (
                    f"{path} is not there on node {socket.gethostname()}: files of "
                    f"{LARGE // 2**20} MiB and more, and those outside of the working directory, "
                    "are read by their path"
                )
        reader, writer = self._context.Pipe(duplex=False)
        child = self._context.Process(target=process.check, args=(writer,))
        try:
            child.start()
            writer.close()
            return str(reader.recv())
        except (EOFError, OSError) as error:
            return f"the process that trials are forked from has died ({error!r})"
        finally:
            reader.close()

    def use(self, snapshot: Snapshot) -> None:
        """Take other files for the trials from now on."""
        self._snapshot = snapshot

    def renew(self, snapshot: Snapshot, workload: Workload, environment: Mapping[str, str]) -> None:
        """Take the trials of another workload from now on, whose limits have as many cores."""
        self.rest()
        self._snapshot, self._workload = snapshot, workload
        self._environment = dict(environment)

    def rest(self) -> None:
        """End the running trial, if there is one, and forget what was not collected of it.

        Raises:
            TimeoutError: It does not end.
        """
        self.cancel()
        if self._thread is not None:
            self._thread.join(timeout=5)
            if self._thread.is_alive():
                raise TimeoutError("a trial does not end")
            self._thread = None
        self.collect(0)

    def start(self, spec: TrialSpec) -> None:
        """Start a trial; the one before must have ended."""
        if self._thread is not None:
            self._thread.join()
        self._cancelled.clear()
        self._thread = threading.Thread(target=self._run, args=(spec,), daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """End the running trial, if there is one; it still has an ending."""
        self._cancelled.set()

    def collect(self, timeout: float, linger: float = 0.0) -> list[Event]:
        """Events since the last call; waits up to ``timeout`` seconds for the first one.

        The last event of a trial is ``ending``, or ``broken`` with a ``text`` where the trial
        could not be run at all.

        Args:
            timeout: Seconds.
            linger: Seconds that it waits for more after the first one; not after the last event.
        """
        events: list[Event] = []
        try:
            events.append(self._events.get(timeout=timeout))
            until = time.monotonic() + linger
            while not (events[-1]["event"] in LAST and self._events.empty()):
                events.append(self._events.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            pass
        return events

    def close(self) -> None:
        """End everything that was started and remove all files."""
        self.cancel()
        if self._thread is not None:
            self._thread.join(timeout=5)
        _end_forkserver()
        os.chdir("/")
        shutil.rmtree(self._root, ignore_errors=True)
        # Ray kills this process, so that multiprocessing cannot clear up at its exit.
        shutil.rmtree(multiprocessing.util.get_temp_dir(), ignore_errors=True)

    def _run(self, spec: TrialSpec) -> None:
        try:
            job = self._job(spec)
            self._events.put({"event": "ending", **asdict(self._supervise(job))})
        except Exception as error:
            self._events.put({"event": "broken", "text": one_line(error)})
        finally:
            self._scratch.clear()

    def _job(self, spec: TrialSpec) -> Job:
        scratch, copy = self._scratch.prepare(self._snapshot)
        theirs, ours = f"{self._workload.directory}{os.sep}", f"{copy.directory}{os.sep}"
        job = Job(
            script=copy.script,
            # An absolute path into the working directory means the copy, too.
            args=tuple(arg.replace(theirs, ours) for arg in self._workload.args),
            directory=copy.directory,
            scratch=scratch,
            links=copy.links,
            environment=self._environment,
            treatment=spec.treatment,
            seed=spec.seed,
            max_steps=spec.max_steps or self._workload.limits.max_steps,
            max_batches=self._workload.limits.max_batches_per_epoch,
            cpus=self._workload.limits.cpus,
        )
        job.temporary.mkdir()
        return job

    def _supervise(self, job: Job) -> Ending:
        reader, writer = self._context.Pipe(duplex=False)
        # Daemonic: a host that has to exit terminates it, rather than wait for it.
        child = self._context.Process(target=process.main, args=(job, writer), daemon=True)
        with reader:
            child.start()
            writer.close()
            pipe = EventPipe(reader.fileno())
            server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
            watch = Watch(self._workload.limits, child.pid or 0, server, job.log)
            cut: Ending | None = None
            try:
                while cut is None and not wait([child.sentinel], timeout=_LOOK):
                    self._forward(pipe)
                    cut = _CANCELLED if self._cancelled.is_set() else watch.exceeded()
            finally:
                watch.kill()
            child.join()
            self._forward(pipe)
        ending = cut or pipe.ending or vanished(child.exitcode or 0)
        return replace(
            ending,
            steps=max(ending.steps, pipe.steps),
            seconds=ending.seconds or watch.seconds,
            output_tail=tail(job.log),
        )

    def _forward(self, pipe: EventPipe) -> None:
        for event in pipe.read():
            self._events.put(event)


def _end_forkserver() -> None:
    """End the forkserver at once: it would look up from its imports only when they are done."""
    server: Any = multiprocessing.forkserver._forkserver
    if server._forkserver_pid is not None:
        os.kill(server._forkserver_pid, signal.SIGKILL)
    server._stop()


def _hide_main() -> None:
    """Keep a process that is started here from importing the main module of Ray's worker."""
    main = sys.modules["__main__"]
    main.__spec__ = None
    if hasattr(main, "__file__"):
        del main.__file__


def _pin_environment(cpus: int) -> None:
    os.environ["PYTHONHASHSEED"] = "0"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(cpus)
