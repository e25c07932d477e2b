"""Ctrl-C that is heard wherever it comes."""

from __future__ import annotations

import signal
import threading
import weakref
from types import FrameType

_AGAIN = 0.05  # seconds


def make_interrupts_certain() -> None:
    """Have Ctrl-C raise where the exception is not lost.

    Python prints and ignores what is raised in a finaliser or in the callback of a weak reference;
    an interrupt that comes just then has to come again. To be called in the main thread.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _is_lost(frame):
        raise KeyboardInterrupt
    # To this thread, for a system call that it waits in to end.
    again = threading.Timer(_AGAIN, signal.pthread_kill, [threading.get_ident(), number])
    again.daemon = True
    again.start()


def _is_lost(frame: FrameType | None) -> bool:
    """Whether Python ignores what is raised in this frame."""
    while frame is not None:
        code = frame.f_code
        callback = code.co_filename == weakref.__file__ and code.co_name in ("remove", "_remove")
        if callback or code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
