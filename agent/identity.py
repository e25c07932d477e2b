"""What a trial's outcome depends on besides its treatment and seed, as one short text.

Two trials with the same identity, treatment, seed and step limit are the same trial: it need not
run again. The identity errs on the safe side: what is not known to be without influence is in it.
What cannot be seen from here is not: data outside of the working directory, and the network.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.snapshot import Snapshot
from agent.workload import Workload

_OF_THE_SHELL = {
    "_", "AGENT_HOME", "COLORTERM", "COLUMNS", "DISPLAY", "LINES", "LS_COLORS", "OLDPWD", "PS1",
    "PWD", "SHLVL", "TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE",
    "WINDOWID",
}  # fmt: skip
_OF_A_SESSION = ("DBUS_", "GPG_", "MLFLOW_", "SSH_", "SUDO_", "VSCODE_", "XDG_", "PYTEST_")
_OURS = ("agent/inside", "probes", "remedies")
"""Folders whose code takes part in a trial."""


def identity(workload: Workload, snapshot: Snapshot, address: str | None = None) -> str:
    """The identity of the trials of a workload.

    Args:
        workload: The script with its arguments and limits.
        snapshot: Its files.
        address: Ray cluster that the trials run on.
    """
    limits = workload.limits
    parts = {
        "files": snapshot.digest,
        "args": workload.args,
        "limits": [limits.max_steps, limits.max_batches_per_epoch, limits.cpus, limits.gpus],
        "machine": [platform.node(), platform.platform(), address or ""],
        "python": [sys.version, sys.prefix],
        "packages": sorted(_packages()),
        "code": sorted(_code()),
        "environment": sorted(_environment(os.environ)),
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _packages() -> Iterator[str]:
    """The installed packages: each has a folder that tells its version by its name."""
    for entry in dict.fromkeys(sys.path):
        if os.path.isdir(entry):
            yield from (name for name in os.listdir(entry) if name.endswith(".dist-info"))


def _code() -> Iterator[tuple[str, int, int]]:
    root = Path(__file__).parent.parent
    for folder in _OURS:
        for file in (root / folder).rglob("*.py"):
            about = file.stat()
            yield str(file.relative_to(root)), about.st_size, about.st_mtime_ns


def _environment(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in variables.items():
        if name not in _OF_THE_SHELL and not name.startswith(_OF_A_SESSION):
            yield name, value
