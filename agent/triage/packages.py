"""Which packages are not what they were when a run was started."""

from __future__ import annotations

import importlib.metadata
import json
import platform

from agent.triage.runs import Run


def changed_packages(run: Run) -> list[str]:
    """The packages that have another version now, ``numpy 2.3.1 → 2.4.0``.

    Args:
        run: What the recorder noted of it counts: what was imported when it was started.
    """
    try:
        noted = json.loads(run.noted("packages") or "{}")
    except (ValueError, RecursionError):
        return []
    changed = []
    for name, before in noted.items() if isinstance(noted, dict) else ():
        now = platform.python_version() if name == "python" else _version(str(name))
        # A module that is called otherwise than its distribution cannot be compared.
        if now is not None and now != before:
            changed.append(f"{name} {before} → {now}")
    return changed


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
