"""Imported once by the forkserver: all that the process of a trial needs, so that a fork has it."""

from __future__ import annotations

import ctypes
import gc
import importlib
import pkgutil
import sys
import warnings

from agent.inside.errors import one_line

# Where a fault of the installation is found, the forkserver itself must live to tell it.
ERROR = ""

_PR_SET_CHILD_SUBREAPER = 36


def _import_all(package: str) -> None:
    """Import every module of a package.

    Nothing of ours may be imported once the script runs: it may have modules of the same names.
    """
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{info.name}")


def _adopt_orphans() -> None:
    """Become the parent of what a trial leaves behind, so that its host finds and ends it.

    The forkserver waits for any child, and warns of those that it did not fork.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")


_adopt_orphans()
gc.disable()  # Nothing that is imported is garbage: looking for some takes a quarter of the time.
try:
    importlib.import_module("agent.inside.trial")
    for _package in ("probes.tap", "remedies"):
        _import_all(_package)
    # The first optimizer imports it: that takes longer than all the rest.
    importlib.import_module("torch._dynamo")
except Exception as _error:
    ERROR = one_line(_error)
# Nor will it be in a trial, which has no copy of its own of what it does not touch.
gc.freeze()
gc.enable()
