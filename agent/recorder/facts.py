"""Facts about a process and its code, by which a run can be started again or found to be dead."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
from collections.abc import Mapping


def process_identity(pid: int) -> dict[str, str]:
    """What tells a process from all others, those of other machines and other boots included.

    Args:
        pid: A process of this machine.

    Returns:
        ``host``, ``boot``, ``pid`` and ``started``, the last one empty where there is no such
        process, or the system does not tell.
    """
    boot = _read("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):  # Containers number their processes by themselves.
        boot += " " + os.readlink("/proc/self/ns/pid")
    # Since the boot, in clock ticks: the twentieth field after the name, which may hold anything.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    started = fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""
    return {"host": socket.gethostname(), "boot": boot, "pid": str(pid), "started": started}


def is_gone(noted: Mapping[str, str]) -> bool | None:
    """Whether a process is gone; None where that cannot be known here.

    Args:
        noted: Its `process_identity`.
    """
    pid = noted.get("pid", "")
    here = process_identity(int(pid)) if pid.isdecimal() and len(pid) < 12 else {}
    if not here or any(noted.get(name) != here[name] for name in ("host", "boot")):
        return None
    return not here["started"] or here["started"] != noted.get("started")


def git(folder: str, *arguments: str) -> str | None:
    """What git says, without a lock or a hook; None where it fails.

    Args:
        folder: Where to ask.
        arguments: Of git.
    """
    command = ["git", "-C", folder, "-c", "core.fsmonitor=false", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=10, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def code_state(script: str) -> dict[str, str]:
    """Which code a script is: the digest of its file, and the state of its git repository.

    Args:
        script: Path of the script.

    Returns:
        ``source``, and where it is under git ``commit``, ``dirty`` (``true`` or ``false``) and
        ``changes``, a digest of what is not committed.
    """
    with open(script, "rb") as file:
        state = {"source": digest(file.read())}
    folder = os.path.dirname(script)
    commit = git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return state
    changes = git(folder, "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--binary") or ""
    new = git(folder, "ls-files", "--error-unmatch", "--", script) is None
    return state | {
        "commit": commit.strip(),
        "dirty": "true" if changes or new else "false",
        "changes": digest((changes + (state["source"] if new else "")).encode()),
    }


def digest(data: bytes) -> str:
    """A short digest of the data."""
    return hashlib.sha256(data).hexdigest()[:32]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
