"""A debugging session that somebody else plays, call by call."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ClassVar, TypeVar

from agent.controller import Controller
from agent.diagnosis import Diagnosis
from agent.episode import Episode
from agent.errors import UsageError
from agent.launch import Launcher
from agent.mcp.leash import STOPPED, Leash, Leashed
from agent.policies import Policy
from agent.progress import Part, PartStarted, Progress
from agent.request import Request
from agent.snapshot import Snapshot
from agent.view import Board

Result = TypeVar("Result")
Launch = Callable[[Leash, Snapshot, Request], Launcher]
OVER = "the session is over: call observe to begin another one"


class Session(Policy):
    """A diagnosis of which the tries are chosen from outside.

    It is the policy of a controller that works in a thread of its own: everything that touches the
    engine happens there, one call after the other.

    Args:
        request: What to diagnose, and how.
        leash: Holds its trials.
        launch: Makes the launcher.

    Attributes:
        handle: Names the session; nobody can guess it.
        board: What happens right now.
        observed: Done when the untreated run has been read; gives whether anything can be tried.
        finished: Done with the diagnosis, when that is recorded.
        busy: Whether the engine works, rather than wait for a call.
        touched: When somebody called last, by the monotonic clock.
    """

    name = "called"
    confirms: ClassVar[bool] = True

    def __init__(self, request: Request, leash: Leash, launch: Launch = Leashed) -> None:
        self.request = request
        self.leash = leash
        self.handle = secrets.token_urlsafe(16)
        self.board = Board(request.workload.script.name, request.budget)
        self.observed: Future[bool] = Future()
        self.finished: Future[Diagnosis] = Future()
        self.touched = time.monotonic()
        self.busy = True
        self.episode: Episode | None = None
        self._launch = launch
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._closing = False
        self._worked = 0.0
        self._began: float | None = None
        self._thread = threading.Thread(target=self._work, name="session", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether treatments can be tried."""
        ended = self._closing or self._decided or self.finished.done()
        return self.episode is not None and not ended

    @property
    def is_closing(self) -> bool:
        """Whether it was told to end."""
        return self._closing

    @property
    def seconds_left(self) -> float:
        """What is left of the time for trials, in seconds; thinking between calls is free."""
        now = time.monotonic()
        working = now - self._began if self._began is not None else 0.0
        return max(0.0, self.request.time_budget - self._worked - working)

    def call(self, act: Callable[[Episode], Result]) -> Future[Result]:
        """Let the engine do something; the result comes when it has its turn.

        Raises:
            UsageError: The session is over.
        """
        if not self.is_open:
            raise UsageError(OVER)
        found: Future[Result] = Future()
        self._calls.put(_Call(act, found))
        return found

    def stop(self, future: Future[Any]) -> None:
        """Give up a call: what it runs ends, and the session goes on."""
        if not future.cancel():
            self.leash.pull()

    def abandon(self) -> None:
        """Let the session end: what runs is stopped, and what is known is recorded."""
        self._closing = True
        self.leash.pull()
        self._calls.put(None)

    def close(self) -> None:
        """End the session, and wait until it is recorded."""
        self.abandon()
        self._thread.join()

    def play(self, episode: Episode) -> None:
        """Do what is called for, until a fix is confirmed or the session is closed."""
        self.episode = episode
        self._worked += time.monotonic() - self.touched
        self.observed.set_result(True)
        while not self._decided and not self._closing:
            self.busy = False
            call = self._calls.get()
            self.busy = True
            if call is None:
                break
            self._began = time.monotonic()
            self._answer(call, episode)
            self._worked += time.monotonic() - self._began
            self._began = None
        self._refuse_the_rest()

    @property
    def _decided(self) -> bool:
        return self.episode is not None and self.episode.findings.fix is not None

    def _answer(self, call: _Call, episode: Episode) -> None:
        if not call.future.set_running_or_notify_cancel():
            return
        if not self._closing:
            self.leash.loosen()
        try:
            call.future.set_result(call.act(episode))
        except (UsageError, KeyboardInterrupt) as error:
            _stop(episode)
            told = UsageError(STOPPED) if isinstance(error, KeyboardInterrupt) else error
            call.future.set_exception(told)
        except BaseException as error:
            call.future.set_exception(error)
            raise

    def _work(self) -> None:
        try:
            controller = Controller(self.request, self._listen, self, self._make_launcher)
            self.finished.set_result(controller.run())
        except BaseException as error:
            told = UsageError(STOPPED) if isinstance(error, KeyboardInterrupt) else error
            self.finished.set_exception(told)
            if not self.observed.done():
                self.observed.set_exception(told)
        if not self.observed.done():
            self.observed.set_result(False)
        self._refuse_the_rest()

    def _refuse_the_rest(self) -> None:
        while not self._calls.empty():
            if (call := self._calls.get()) is not None:
                if call.future.set_running_or_notify_cancel():
                    call.future.set_exception(UsageError(OVER))

    def begin(self, part: Part) -> None:
        """Tell that a part of the diagnosis begins."""
        self.board.feed(PartStarted(part))

    def _listen(self, event: Progress) -> None:
        self.board.feed(event)

    def _make_launcher(self, snapshot: Snapshot, request: Request) -> Launcher:
        return self._launch(self.leash, snapshot, request)


def _stop(episode: Episode) -> None:
    """End what the episode runs, however often that is asked for meanwhile."""
    while True:
        try:
            episode.stop()
            return
        except KeyboardInterrupt:
            continue


class _Call:
    """Something that the engine is to do, and where its result goes."""

    def __init__(self, act: Callable[[Episode], Any], future: Future[Any]) -> None:
        self.act = act
        self.future = future
