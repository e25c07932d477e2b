"""What the user is told when a diagnosis cannot go on."""

from __future__ import annotations

import errno
from collections.abc import Callable

from agent.diagnosis import Diagnosis
from agent.errors import InfrastructureError, Interrupted

_FULL = (errno.ENOSPC, errno.EDQUOT)

SoFar = Callable[[], Diagnosis | None]


def cut_short(error: BaseException, run_id: str, so_far: SoFar) -> BaseException:
    """What to raise instead of an exception that ends a diagnosis.

    Args:
        error: The exception.
        run_id: The run to resume; empty where there is nothing to go on with.
        so_far: Gives what is known by now.
    """
    if was_interrupted(error):
        return Interrupted(so_far(), run_id)
    again = f"; to go on: --resume {run_id}" if run_id else ""
    if isinstance(error, OSError) and error.errno in _FULL:
        return InfrastructureError(f"the disk is full: {error}{again}")
    if isinstance(error, InfrastructureError):
        return InfrastructureError(f"{error}{again}")
    return error


def was_interrupted(error: BaseException) -> bool:
    """Whether it is an interrupt, or what broke when a library was interrupted half-way."""
    before: BaseException | None = error
    while before is not None and not isinstance(before, KeyboardInterrupt):
        before = before.__context__
    return before is not None
