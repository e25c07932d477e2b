"""Exceptions as one line of text."""

from __future__ import annotations


def one_line(error: BaseException) -> str:
    """The exception as the last line of its traceback, cut to a readable length.

    >>> one_line(ValueError("no such file"))
    'ValueError: no such file'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}"[:500] if lines else type(error).__name__
