"""The script of a trial whose workload is a Python callable: it is copied next to what it calls.

It runs as ``__main__`` and imports nothing of ours: the user may have modules of the same names.
"""

from __future__ import annotations

import functools
import math
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any


def functions_below(root: object) -> Iterator[FunctionType]:
    """The functions that a callable leads to by what it closes over and by its global names."""
    pending: list[Any] = [root]
    seen: set[int] = set()
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, FunctionType):
            yield item
            names = list(_names(item.__code__))
            pending += [item.__globals__[name] for name in names if name in item.__globals__]
            pending += [cell.cell_contents for cell in item.__closure__ or () if _is_full(cell)]
            pending += [*(item.__defaults__ or ()), *vars(item).values()]
        elif isinstance(item, MethodType):
            pending += [item.__func__, item.__self__]
        elif isinstance(item, functools.partial):
            pending += [item.func, *item.args, *item.keywords.values()]
        elif isinstance(item, type) and item.__module__ == "__main__":
            pending += [*item.__bases__, *vars(item).values()]
        elif isinstance(item, property | staticmethod | classmethod):
            pending += [getattr(item, "fget", None), getattr(item, "__func__", None)]
        elif type(item).__module__ == "__main__":
            pending.append(type(item))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _moved(code: CodeType, files: dict[str, str]) -> CodeType:
    """The same code as if it came from the copy of its source that is in the trial's folder."""
    constants = tuple(_moved(c, files) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(
        co_filename=files.get(code.co_filename, code.co_filename), co_consts=constants
    )


def _report(result: object) -> None:
    """Print what was returned, where it is a number or names some."""
    found: dict[Any, Any] = result if isinstance(result, dict) else {"result": result}
    for name, value in found.items():
        try:
            number = float(value)
        except (TypeError, ValueError, RuntimeError):
            continue
        if not isinstance(value, str | bytes):
            print(f"{name}={'nan' if math.isnan(number) else number!r}")


def _main() -> None:
    here = Path(__file__).parent
    sys.path.insert(0, os.getcwd())
    with open(here / "callable.pkl", "rb") as file:
        path, sources = pickle.load(file)
        sys.path += [entry for entry in path if entry not in sys.path]
        call = pickle.load(file)
    files = {original: str(here / copy) for original, copy in sources.items()}
    for function in functions_below(call):
        if function.__code__.co_filename in files:
            function.__code__ = _moved(function.__code__, files)
            if "range" in globals():  # A remedy has put its own there.
                function.__globals__.setdefault("range", globals()["range"])
    _report(call())


if __name__ == "__main__":
    _main()
