"""The process of one diagnosis that triage starts: `agent diagnose`, which ends with triage."""

from __future__ import annotations

import contextlib
import os
import resource
import sys

import psutil


def main(arguments: list[str]) -> int:
    """Run `agent diagnose`.

    Args:
        arguments: The number of the process that started this one, how many processes more than
            now its user may have, and the command line of `agent`.

    Returns:
        The exit code.
    """
    from agent.inside.isolation import die_with_parent

    parent, processes, *command = arguments
    die_with_parent()
    if os.getppid() != int(parent):  # It has died before that line.
        return 4
    limit_processes(int(processes))
    from agent.cli import main as agent

    return agent(command)


def limit_processes(more: int) -> None:
    """Let no script fork without end: the limit counts all threads of the user."""
    own = os.getuid()
    running = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == own:
                running += process.num_threads()
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    limit = running + more if hard == resource.RLIM_INFINITY else min(running + more, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
