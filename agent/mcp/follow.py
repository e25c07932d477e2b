"""Waits for the engine, tells the client how far it is, and stops it when nobody waits any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from agent.errors import AgentError
from agent.mcp.session import OVER, Session
from agent.mcp.shown import NAME, short
from agent.text import number
from agent.view import Board

Result = TypeVar("Result")
_LOOK = 0.05
_TELL = 1.0
_LEAST = 0.001
_LONGEST_ERROR = 1000


@contextmanager
def refusing() -> Iterator[None]:
    """Tell a model of our errors in one line.

    Raises:
        ToolError: An error of ours.
    """
    try:
        yield
    except AgentError as error:
        raise ToolError(short(error, _LONGEST_ERROR)) from error


async def follow(
    context: Context[Any, Any],
    session: Session,
    future: Future[Result],
    stop: Callable[[], None] | None = None,
) -> Result:
    """The result of something that the engine does.

    Args:
        context: Of the call: takes the progress.
        session: Whose engine it is.
        future: Gets the result.
        stop: Called where the client cancels; None: the call is given up.

    Raises:
        ToolError: The engine cannot do it; says why.
    """
    teller = _Teller(context, session.board)
    try:
        while not future.done():
            if session.finished.done() and not future.done():
                raise ToolError(OVER)
            await anyio.sleep(_LOOK)
            await teller.tell()
    except anyio.get_cancelled_exc_class():
        if stop is not None:
            stop()
        else:
            session.stop(future)
        raise
    finally:
        session.touched = time.monotonic()
    with refusing():
        return future.result()


class _Teller:
    """Reports progress, in runs of the script, at most once a second.

    Args:
        context: Of the call.
        board: What happens.
    """

    def __init__(self, context: Context[Any, Any], board: Board) -> None:
        self._context = context
        self._board = board
        self._told = -_LEAST
        self._message = ""
        self._then = time.monotonic()

    async def tell(self) -> None:
        """Report what has changed."""
        if time.monotonic() - self._then < _TELL:
            return
        progress, message = _state(self._board)
        if message == self._message:
            return
        self._then, self._message = time.monotonic(), message
        self._told = max(progress, self._told + _LEAST)  # It must grow with each report.
        await self._context.report_progress(round(self._told, 3), None, message)


def _state(board: Board) -> tuple[float, str]:
    with board.lock:
        running = list(board.running.values())
        shares = [min(0.99, trial.step / max(1, board.baseline_steps)) for trial in running]
        told = [
            f"{short(trial.label, NAME)} seed {trial.seed} step {trial.step}"
            f"{f' {number(trial.value)}' if trial.value is not None else ''}"
            for trial in [trial for trial in running if trial.step] or running[:1]
        ]
        whole = sum(shares) if board.baseline_steps else 0.0
        return board.ended + whole, "; ".join([board.part, *told])
