"""Runs the script of a trial, observed and treated, and finds out how it ended."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import multiprocessing.util
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

import torch

from agent.inside import links, seeds
from agent.inside.batches import BatchLimit
from agent.inside.errors import one_line
from agent.inside.job import Job
from agent.inside.metrics import Metrics
from agent.inside.output import Output
from agent.inside.script import innermost_line, run_as_main
from probes.facts import Ending
from probes.tap import StopTraining, Tap, logged
from probes.trace import Event
from remedies.surgery import Program

_SOCKET_NAME = len("/pymp-12345678/listener-12345678")
_LONGEST_SOCKET = 103
"""Characters that the path of a Unix socket may have: on macOS, the strictest."""


def run(job: Job, emit: Callable[[Event], None]) -> Ending:
    """Run the script of the job.

    Args:
        job: What to run.
        emit: Takes every event but the ending.
    """
    _forget_exit_handlers()
    _shorten_sockets(job)
    torch.set_num_threads(job.cpus)
    tap = Tap(emit, job.directory, job.max_steps, job.script.parent)
    metrics = Metrics(emit, lambda: tap.step)
    output = Output(metrics.report)
    output.install()
    logged.install(metrics.report, job.scratch / "logged")
    links.install(job.links)
    seeds.install(job.seed)
    tap.install()
    program = Program(tap, job.treatment, emit, job.args)
    program.install()
    batches = BatchLimit(job.max_batches, emit) if job.max_batches is not None else None
    if batches is not None:
        batches.install()
    started = time.perf_counter()
    ending = _execute(job, program)
    _finish(ending, tap, output)
    if batches is not None:
        batches.finish()
    return replace(ending, seconds=time.perf_counter() - started, steps=tap.step)


def _forget_exit_handlers() -> None:
    """Leave out the handlers of what was preloaded: those of torch take longer than a fork."""
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    for handler in (
        weakref.finalize._exitfunc,  # type: ignore[attr-defined]
        logging.shutdown,
        multiprocessing.util._exit_function,  # type: ignore[attr-defined]
    ):
        atexit.register(handler)


def _shorten_sockets(job: Job) -> None:
    """Let processes talk over sockets elsewhere where the path of ours is too long for one."""
    if len(str(job.temporary)) + _SOCKET_NAME > _LONGEST_SOCKET:
        folder = tempfile.mkdtemp(prefix="pymp-", dir="/tmp")
        multiprocessing.current_process()._config["tempdir"] = folder  # type: ignore[attr-defined]
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _execute(job: Job, program: Program) -> Ending:
    argv = [os.path.relpath(job.script, job.directory), *program.arguments]
    try:
        run_as_main(job.script, argv, program.names)
    except StopTraining:
        return Ending("stopped")
    except SystemExit as error:
        return _exited(error.code)
    except BaseException as error:
        source = innermost_line(error, job.files, job.script.parent)
        _report(error, job)
        return Ending("raised", exit_code=1, message=one_line(error), source=source)
    return Ending("completed")


def _exited(code: object) -> Ending:
    if code is None or code == 0:
        return Ending("completed")
    if isinstance(code, int):
        return Ending("exited", exit_code=code & 0xFF, message=f"sys.exit({code})")
    print(code, file=sys.stderr)
    return Ending("exited", exit_code=1, message=str(code)[:500])


def _finish(ending: Ending, tap: Tap, output: Output) -> None:
    """What the interpreter does at its end: wait for threads, run the exit handlers."""
    if ending.status != "stopped":  # The script's threads may wait for a loop that is no more.
        threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    tap.close()
    output.finish()


def _report(error: BaseException, job: Job) -> None:
    """Print the traceback as the interpreter would: from the script on."""
    tail: TracebackType | None = error.__traceback__
    while tail is not None and tail.tb_frame.f_code.co_filename != str(job.script):
        tail = tail.tb_next
    try:
        tail = tail or error.__traceback__
        sys.excepthook(type(error), error.with_traceback(tail), tail)
    except Exception:
        traceback.print_exception(error)
