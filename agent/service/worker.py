"""The process that works on jobs, one at a time: what takes seconds to start is started once."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

from agent.errors import AgentError, InfrastructureError
from agent.recorder.facts import process_identity
from agent.service.attempts import Attempts, Claim, Ended
from agent.service.changes import Event
from agent.service.record import Notes, Pulse
from agent.service.settings import Bounds, Settings
from agent.service.tables import Database
from agent.service.work import Again, Work

_LOOK = 0.5
_NICER = 10
_TIDY = 30.0
_log = logging.getLogger("agent.service.worker")


class Worker:
    """Takes jobs and works on them until it is told to stop.

    Args:
        attempts: The queue.
        work: Does what a job asks for.
        bounds: What a job may use.
    """

    def __init__(self, attempts: Attempts, work: Work, bounds: Bounds) -> None:
        self._attempts = attempts
        self._work = work
        self._bounds = bounds
        self._holder = process_identity(os.getpid())
        self._stopping = False
        self._busy = False
        self._interrupted = -_TIDY

    def run(self) -> None:
        """Take one job after the other."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._interrupt)
        worked = time.monotonic()
        while not self._stopping:
            claim = None
            with _patiently():
                claim = self._attempts.claim(self._holder, self._bounds.cpus, self._bounds.gpus)
            if claim is None:
                self._work.rest(time.monotonic() - worked)
                time.sleep(_LOOK)
            else:
                self.attempt(claim)
                worked = time.monotonic()

    def attempt(self, claim: Claim) -> None:
        """Work on a job, and write down how that ended."""
        notes, ended, why = Notes(), None, ""
        seconds = self._work.seconds(claim)
        with Pulse(self._attempts, claim, notes, seconds, _interrupt_main) as pulse:
            try:
                self._busy, self._interrupted = True, -_TIDY
                try:
                    if self._stopping or pulse.stop:
                        raise KeyboardInterrupt
                    ended = self._work.do(claim, notes)
                finally:
                    self._busy = False
            except KeyboardInterrupt:
                pass
            except Again as again:
                why = str(again)
        if ended is None and pulse.stop == "cancelled":
            ended = Ended("cancelled")
        elif ended is None and pulse.stop == "late":
            ended = Ended("failed", {"error": f"it took more than {seconds:.0f} s"})
        self._deliver(claim, ended, why, notes.take())

    def _deliver(self, claim: Claim, ended: Ended | None, why: str, events: list[Event]) -> None:
        for _ in range(3):  # The lease lasts that long; then somebody else has the job.
            with _patiently():
                if ended is None:
                    self._attempts.beat(claim, events)
                    self._attempts.put_back(claim, why or "interrupted", counted=bool(why))
                else:
                    self._attempts.finish(claim, ended, events)
                return

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        self._interrupt(number, frame)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        # What it interrupts tidies up after itself, for which it has that long.
        if self._busy and now - self._interrupted > _TIDY:
            self._interrupted = now
            raise KeyboardInterrupt


def _interrupt_main() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@contextlib.contextmanager
def _patiently() -> Iterator[None]:
    """Go on when the database is away, which it may be for a moment."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        _log.warning("the database of the queue fails: %s", str(error).partition("\n")[0])
        time.sleep(2.0)


def main(arguments: list[str]) -> int:
    """Work for the server that started this process.

    Args:
        arguments: The number of that server's process.

    Returns:
        The exit code.
    """
    from agent.inside.isolation import die_with_parent

    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    settings = Settings.model_validate_json(sys.stdin.readline())
    die_with_parent()
    if os.getppid() != int(arguments[0]):
        return AgentError.exit_code
    os.nice(_NICER)
    from agent.artifacts import prepare
    from agent.cluster import connected
    from agent.hosts import keeping_hosts

    try:
        with connected(settings.address, settings.bounds.cpus), keeping_hosts():
            work = Work(settings.bounds, settings.address, settings.triage, settings.environment)
            work.prepare()
            prepare()
            worker = Worker(Attempts(Database(settings.store)), work, settings.bounds)
            print("ready", flush=True)
            worker.run()
    except InfrastructureError as error:
        _log.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
