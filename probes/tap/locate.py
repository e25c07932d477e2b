"""Which line of the user's code is at work."""

from __future__ import annotations

import inspect
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from torch import Tensor

_LARGEST = 1000
"""Items of a collection that names are looked for in."""
_HELD_HERE = 4
"""References to what a frame keeps: its own, two variables', and that of the call that counts."""


class Sources:
    """Tells the user's files from all others, and names places in them.

    Args:
        root: Folder whose files are the user's code.
        base: The script's folder, wherever it is: its files are the user's code, too, and are
            named from there.
    """

    def __init__(self, root: Path, base: Path | None = None) -> None:
        self._root = os.path.realpath(root)
        self._base = os.path.realpath(base or root)
        installed = sysconfig.get_paths()
        self._foreign = tuple(
            os.path.realpath(installed[key]) + os.sep
            for key in ("stdlib", "platstdlib", "purelib", "platlib")
        )
        self._names: dict[str, str | None] = {}

    def name(self, filename: str) -> str | None:
        """Name of a file of the user's code; None for any other file."""
        if filename not in self._names:
            generated = filename.startswith("<")  # By exec: it is in no file.
            found = None if generated else self._find_name(os.path.realpath(filename))
            self._names[filename] = found
        return self._names[filename]

    def _find_name(self, path: str) -> str | None:
        if path.startswith(self._foreign):
            return None
        for folder in (self._base, self._root):
            if path.startswith(folder + os.sep):
                return os.path.relpath(path, folder)
        return None

    def stack(self) -> list[FrameType]:
        """The frames of the user's code that led here, innermost first."""
        return list(self._frames())

    def line(self) -> str | None:
        """The user's line that is at work, ``file.py:12``."""
        frame = next(self._frames(), None)
        return None if frame is None else self.place(frame.f_code, frame.f_lineno)

    def _frames(self) -> Iterator[FrameType]:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if self.name(frame.f_code.co_filename) is not None:
                yield frame
            frame = frame.f_back

    def tensors(self) -> dict[int, str]:
        """Names of the trained tensors among the variables at work, by identity."""
        found: dict[int, str] = {}
        for frame in self.stack():
            for name, value in variables(frame).items():
                for path, item in _items(name, value):
                    if isinstance(item, Tensor) and item.is_leaf:
                        found.setdefault(id(item), path)
        return found

    def place(self, code: CodeType, line: int) -> str:
        """A line as ``file.py:12``."""
        return f"{self.name(code.co_filename)}:{line}"

    def text(self, code: CodeType, line: int) -> str:
        """The text of a line, stripped."""
        return linecache.getline(code.co_filename, line).strip()


def variables(frame: FrameType) -> dict[str, Any]:
    """The variables of a function at work, or of a module, which are not held by asking.

    Up to Python 3.12 a frame keeps the mapping that it is asked for, and so everything that was
    in its variables (a batch, the last logits), until the function ends or it is asked again.
    """
    kept = frame.f_locals
    found = dict(kept)
    _let_go(frame, kept)
    return found


def first_argument(frame: FrameType) -> Any:
    """What the function was called with first, a method with its object; None without any."""
    if not frame.f_code.co_argcount:
        return None
    kept = frame.f_locals
    found = kept.get(frame.f_code.co_varnames[0])
    _let_go(frame, kept)
    return found


def _let_go(frame: FrameType, kept: dict[str, Any]) -> None:
    if sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        if sys.getrefcount(kept) == _HELD_HERE:  # Else the program has it, too, by locals().
            kept.clear()


def _items(name: str, value: object) -> list[tuple[str, object]]:
    """A variable, or what is in it where it is a small collection."""
    if isinstance(value, dict) and len(value) < _LARGEST:
        return [(str(key), item) for key, item in value.items()]
    if isinstance(value, list | tuple) and len(value) < _LARGEST:
        return [(f"{name}[{place}]", item) for place, item in enumerate(value)]
    return [(name, value)]
