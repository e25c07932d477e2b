"""Finds out how a script ends, and closes its MLflow runs accordingly."""

from __future__ import annotations

import atexit
import contextlib
import opcode
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

_RETURNS = {opcode.opmap[name] for name in opcode.opmap if name.startswith("RETURN_")}


class Ending:
    """How this process ends.

    Args:
        script: What it runs.
        prefix: Of the tags that tell the reason.
        hide: Takes secrets out of a text.

    Attributes:
        process: Its number: a forked child has this object, too, but another end.
    """

    def __init__(self, script: str, prefix: str, hide: Callable[[str], str]) -> None:
        self.process = os.getpid()
        self._script = script
        self._prefix = prefix
        self._hide = hide
        self._outermost = _outermost_frame()
        self._code: object = None

    def watch(self) -> None:
        """Be told of the exit code, and of the end before MLflow's own handler."""
        leave = sys.exit

        def exit_and_tell(status: Any = None, /) -> Any:
            if threading.current_thread() is threading.main_thread():
                self._code = status
            leave(status)

        sys.exit = exit_and_tell
        atexit.register(self._end)

    def _end(self) -> None:
        if os.getpid() != self.process:
            return
        with contextlib.suppress(Exception):
            reason = self._reason()
            if reason:
                by_hand = isinstance(getattr(sys, "last_value", None), KeyboardInterrupt)
                _close(reason, "KILLED" if by_hand else "FAILED")

    def _reason(self) -> dict[str, str]:
        """Why the process fails; empty where it does not."""
        error = getattr(sys, "last_value", None)
        if error is not None:
            found = {"ending": _one_line(error), "line": _line(error, self._script)}
        elif self._code and self._unwound:
            found = {"ending": self._code if isinstance(self._code, str) else f"exit {self._code}"}
        else:
            return {}
        return {self._prefix + name: self._hide(text)[:500] for name, text in found.items() if text}

    @property
    def _unwound(self) -> bool:
        """Whether the script was left by an exception, rather than at its last line."""
        frame = self._outermost
        return frame is None or frame.f_code.co_code[frame.f_lasti] not in _RETURNS


def _outermost_frame() -> FrameType | None:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(error: BaseException, script: str) -> str:
    """The innermost line of the script's own folder, ``train.py:41``."""
    folder = os.path.dirname(script) + os.sep
    entries: Iterable[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    theirs = [
        entry
        for entry in entries
        if entry.filename.startswith(folder) and "site-packages" not in entry.filename
    ]
    if not theirs:
        return ""
    return f"{os.path.relpath(theirs[-1].filename, folder)}:{theirs[-1].lineno}"


def _close(reason: dict[str, str], status: str) -> None:
    """Close the open runs with the reason, and tell it of one that MLflow has closed as FAILED."""
    mlflow: Any = sys.modules.get("mlflow")
    if mlflow is None:
        return
    client = mlflow.MlflowClient()
    open_one = False
    while (run := mlflow.active_run()) is not None:
        open_one = True
        with contextlib.suppress(Exception):
            _tell(client, run.info.run_id, reason)
        mlflow.end_run(status=status)
    last = None if open_one else mlflow.last_active_run()
    if last is not None and last.info.status == "FAILED":
        _tell(client, last.info.run_id, reason)


def _tell(client: Any, run_id: str, reason: dict[str, str]) -> None:
    for name, text in reason.items():
        client.set_tag(run_id, name, text)
