"""Makes the forked process of a trial look like a fresh ``python train.py``."""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.process
import os
import select
import signal
import sys
import tempfile
from typing import Any

from agent.inside.job import Job

_OF_RAY = {"PYTHONBREAKPOINT", "PYTHONUNBUFFERED"}
_PR_SET_PDEATHSIG = 1
# Of the forkserver, which imports this.
_MAIN_PROCESS = multiprocessing.current_process()


def isolate(job: Job, descriptor: int) -> None:
    """Own process group, streams, signals, environment and folder.

    Args:
        job: What will run.
        descriptor: Writing end of a pipe; when its reader is gone, the whole group is killed.
    """
    os.setsid()
    die_with_parent()
    _post_warden(descriptor)
    _default_signals()
    _redirect(job)
    _reset_multiprocessing()
    _set_environment(job)
    os.chdir(job.directory)


def die_with_parent() -> None:
    """Have this process killed when its parent dies, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _post_warden(descriptor: int) -> None:
    """Start a process that kills the group when nobody reads the pipe any more.

    A thread would not do: the signal of the line above kills this process alone, and what it has
    started would stay. Forked twice, so that the script has no child that it does not know.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:
            poll = select.poll()
            poll.register(descriptor, 0)
            poll.poll()
            os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(0)


def _default_signals() -> None:
    # Ray blocks SIGINT in all its processes, and a blocked signal stays so in their children.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _redirect(job: Job) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for path, opened, descriptor in (
        (os.devnull, os.O_RDONLY, 0),
        (job.log, flags, 1),
        (job.log, flags, 2),
    ):
        source = os.open(path, opened, 0o600)
        if source != descriptor:
            os.dup2(source, descriptor)
            os.close(source)
        else:
            os.set_inheritable(descriptor, True)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]


def _reset_multiprocessing() -> None:
    """Forget that this process came from a forkserver: the script may want one of its own."""
    server: Any = multiprocessing.forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
    type(server).__init__(server)
    process = multiprocessing.process
    process._current_process = _MAIN_PROCESS  # type: ignore[attr-defined]
    _MAIN_PROCESS.name = "MainProcess"
    process._parent_process = None  # type: ignore[attr-defined]
    process._children = set()  # type: ignore[attr-defined]
    multiprocessing.set_start_method(None, force=True)


def _set_environment(job: Job) -> None:
    for name in list(os.environ):
        if name.startswith("RAY_") or name in _OF_RAY:
            del os.environ[name]
    for name, value in job.environment.items():
        os.environ.setdefault(name, value)
    os.environ["TMPDIR"] = str(job.temporary)
    # The folder is looked up once and remembered, perhaps before the fork.
    tempfile.tempdir = None
