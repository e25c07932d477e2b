"""What goes through stdout and stderr: every character; with `--json -` nothing but the JSON."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator

_ASCII = {"→": ">", "…": "~", "─": "-", "│": "|"}


def make_streams_safe() -> None:
    """Let no character of a script's names end the command, whatever the terminal can show."""

    def replace(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        bad = error.object[error.start : error.end]
        return "".join(_ASCII.get(char, "?") for char in bad), error.end

    codecs.register_error("agent.shown", replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="agent.shown")


@contextlib.contextmanager
def stdout_for_json_only() -> Iterator[Callable[[str], None]]:
    """Send whatever is written to stdout, by other processes too, to stderr; gives a writer."""
    real = sys.stdout
    real.flush()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            descriptor, errors = real.fileno(), sys.stderr.fileno()
        except (OSError, ValueError):  # Not a real file: nobody else can write to it.
            yield lambda text: print(text, end="", file=real)
            return
        kept = os.dup(descriptor)
        os.dup2(errors, descriptor)
        try:
            yield lambda text: _write_all(kept, text.encode())
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)


def _write_all(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(descriptor, data) :]
