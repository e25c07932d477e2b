"""What an operator lets clients do: which scripts, how many sessions, how many runs in each."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.errors import UsageError
from agent.mcp.leash import Leash, Leashed
from agent.mcp.session import Launch, Session
from agent.options import build_request
from agent.request import Request
from agent.rooted import NotThere, Outside, resolve_below

_NONE = "there is no session: call observe first"


def least_budget(seeds: int) -> int:
    """Runs that a session needs for one try, its confirmation and the check of its patch."""
    return 2 + spare_runs(seeds) + 2


def spare_runs(seeds: int) -> int:
    """Runs that are kept for a confirmation, and for the check of the patch after it."""
    return 3 * seeds


@dataclass(frozen=True)
class Terms:
    """What an operator allows.

    Attributes:
        root: Folder below which scripts may be run.
        budget: Runs of the script that a session may make in all.
        sessions: How many sessions may be begun, one after the other.
        options: Those of `agent diagnose` by name, for all sessions.
        shared: Whether clients cannot be told apart, so that each must name its session.
    """

    root: Path
    budget: int = 24
    sessions: int = 100
    options: dict[str, Any] = field(default_factory=dict)
    shared: bool = False


class Desk:
    """Opens sessions, one at a time: each has the whole machine.

    Args:
        terms: What the operator allows.
        launch: Makes the launchers.
    """

    def __init__(self, terms: Terms, launch: Launch = Leashed) -> None:
        self._terms = terms
        self._launch = launch
        self._session: Session | None = None
        self._begun = 0
        self._lock = threading.Lock()

    def open(
        self,
        script: str,
        args: Sequence[str] = (),
        directory: str = "",
        **asked: Any,
    ) -> Session:
        """Begin a session.

        Args:
            script: Path of the script, from the root.
            args: Its arguments.
            directory: Working directory, from the root; empty for the folder of the script.
            asked: Options of `agent diagnose` that the client may choose.

        Raises:
            UsageError: The operator does not allow it, another session is open, or there is no
                such script.
        """
        with self._lock:
            if self._session is not None and self._session.is_closing:
                self._session.close()
            if self._session is not None and not self._session.finished.done():
                whose = "another client's" if self._terms.shared else "your"
                raise UsageError(f"{whose} session is open: close it first, or wait for its end")
            if self._begun >= self._terms.sessions:
                raise UsageError(f"all {self._terms.sessions} sessions were used (--sessions)")
            request = self._request(script, tuple(args), directory, asked)
            self._begun += 1
            self._session = Session(request, Leash(self._terms.budget), self._launch)
            return self._session

    def find(self, handle: str) -> Session:
        """The session of a client.

        Args:
            handle: What `open` named it; empty where there is one client only.

        Raises:
            UsageError: There is none.
        """
        session = self._session
        if session is None:
            raise UsageError(_NONE)
        if handle != session.handle and (handle or self._terms.shared):
            known = "no such session: name the one that observe gave"
            raise UsageError(known if handle else "name the session that observe gave")
        session.touched = time.monotonic()
        return session

    def close_idle(self, seconds: float) -> None:
        """End the session if nobody has called for so long, and nothing runs."""
        session = self._session
        if session is None or session.finished.done() or session.busy:
            return
        if time.monotonic() - session.touched > seconds:
            session.close()

    def close(self) -> None:
        """End what is open, as when the client goes away."""
        with self._lock:
            if self._session is not None:
                self._session.close()

    def _request(
        self, script: str, args: tuple[str, ...], directory: str, asked: dict[str, Any]
    ) -> Request:
        path = self._below(script, "script")
        if not path.is_file() or path.suffix != ".py":
            raise UsageError(f"{script} is no Python file")
        folder = self._below(directory, "directory") if directory else path.parent
        if not folder.is_dir():
            raise UsageError(f"{directory} is no folder")
        if any("\0" in arg for arg in args):
            raise UsageError("an argument has a NUL character")
        options = {**self._terms.options, **asked, "policy": "interactive"}
        request = build_request(str(path), args, options, folder)
        # What confirms and patches a fix is left out of what the search may spend.
        budget = float(self._terms.budget - request.seeds - 2)
        return request.model_copy(update={"budget": budget})

    def _below(self, name: str, what: str) -> Path:
        root = self._terms.root
        try:
            return resolve_below(root, Path(name))
        except NotThere as error:
            raise UsageError(f"no such {what} below {root}: {name}") from error
        except Outside as error:
            raise UsageError(f"the {what} must be below {root}: {name}") from error
