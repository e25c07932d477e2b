"""Runs a script as ``__main__``, without a trace of us in its way."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import traceback
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

OURS = ("agent", "probes", "remedies", "workloads")

# Taken while this process still has the search path that the interpreter gave it.
_BASE_PATH = [entry for entry in sys.path if entry]


def run_as_main(
    script: Path, argv: list[str], names: Mapping[str, object] = MappingProxyType({})
) -> None:
    """Execute the script the way ``python script …`` would.

    Args:
        script: The script, absolute.
        argv: What it shall see as ``sys.argv``.
        names: What it shall find among its global names.
    """
    sys.argv = argv
    sys.path[:] = [str(script.parent), *_BASE_PATH]
    importlib.invalidate_caches()
    _yield_names(str(script.parent))
    module = types.ModuleType("__main__")
    module.__file__ = str(script)
    module.__loader__ = importlib.machinery.SourceFileLoader("__main__", str(script))
    module.__spec__ = None
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    module.__dict__["__cached__"] = None
    module.__dict__["__annotations__"] = {}
    module.__dict__.update(names)
    sys.modules["__main__"] = module
    code = compile(script.read_bytes(), str(script), "exec", dont_inherit=True)
    exec(code, module.__dict__)


def _yield_names(folder: str) -> None:
    """Let the user's ``agent.py`` or ``probes/`` win over ours of the same name."""
    theirs = [name for name in OURS if importlib.machinery.PathFinder.find_spec(name, [folder])]
    if not theirs:
        return
    for name in list(sys.modules):
        if name.partition(".")[0] in theirs:
            del sys.modules[name]
    sys.meta_path.insert(0, _TheirsFirst(theirs, folder))


class _TheirsFirst(importlib.abc.MetaPathFinder):
    """Finds a name in the user's folder even where that is no regular package, ours is."""

    def __init__(self, names: Sequence[str], folder: str) -> None:
        self._names = names
        self._folder = folder

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """As in `importlib.abc.MetaPathFinder`."""
        if fullname not in self._names:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, [self._folder])


def innermost_line(error: BaseException, files: Path, folder: Path) -> str | None:
    """Innermost line of the user's code that led to the exception, ``train.py:41``.

    Args:
        error: An exception that was raised, or a `SyntaxError`, which has a line without a frame.
        files: Folder that all of the user's code is in.
        folder: Folder of the script, which the line is relative to.
    """
    lines = [
        (frame.f_code.co_filename, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno or 1))
    for filename, number in reversed(lines):
        if Path(filename).is_relative_to(files) and "site-packages" not in filename:
            return f"{os.path.relpath(filename, folder)}:{number}"
    return None
