"""Breaks the links to the user's large files before the script writes to one of them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
import wrapt

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_TRUNC | os.O_CREAT
_PATH_EVENTS = {"os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr", "sqlite3.connect"}


def install(links: frozenset[str]) -> None:
    """Watch for writes from now on; cannot be undone in this process.

    Args:
        links: The symbolic links, absolute.
    """
    if not links:
        return
    guard = _Guard(links)
    sys.addaudithook(guard.audit)

    @wrapt.patch_function_wrapper(torch, "save")
    def save(
        wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        # Written by C++, which raises no audit event.
        target = args[1] if len(args) > 1 else kwargs.get("f")
        guard.release(target, truncate=True)
        return wrapped(*args, **kwargs)


class _Guard:
    """Knows the links and replaces one by a copy of what it leads to.

    Args:
        links: The symbolic links, absolute.
    """

    def __init__(self, links: frozenset[str]) -> None:
        self._links = links

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Audit hook: called by the interpreter before each thing that it may do."""
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITING:
                self.release(path, truncate=bool(flags & os.O_TRUNC))
        elif event in _PATH_EVENTS:
            self.release(args[0], truncate=False)

    def release(self, path: object, truncate: bool) -> None:
        """Make ``path`` a file of its own if it is one of the links, or leads to one."""
        link = self._find(path)
        if link is None:
            return
        original = os.path.realpath(link)
        os.unlink(link)
        # These raise audit events of their own, for a path that is no link any more.
        if truncate:
            open(link, "wb").close()
        elif os.path.isfile(original):
            shutil.copy(original, link)

    def _find(self, path: object) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        current = os.path.abspath(os.fsdecode(path))
        for _ in range(40):
            folder, name = os.path.split(current)
            current = os.path.join(os.path.realpath(folder), name)
            if not os.path.islink(current):
                return None
            if current in self._links:
                return current
            current = os.path.join(os.path.dirname(current), os.readlink(current))
        return None
