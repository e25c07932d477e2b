"""`agent.diagnose`: a diagnosis from Python, of a callable or a script."""

from __future__ import annotations

import difflib
import linecache
import os
import pickle
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from agent.diagnosis import Diagnosis
from agent.errors import UsageError, WorkloadError
from agent.inside import called
from agent.options import build_request
from agent.view import watching


def run(
    train: Callable[[], Any] | str | os.PathLike[str], args: Iterable[str], options: dict[str, Any]
) -> Diagnosis:
    """See `agent.diagnose`."""
    _check_names(options)
    shown = "normal" if options.pop("progress", False) else "quiet"
    if isinstance(train, str | os.PathLike):
        return _diagnose(os.fspath(train), tuple(args), options, shown)
    if not callable(train):
        kind = type(train).__name__
        raise UsageError(f"train is {kind}: give a function without arguments, or a script")
    folder = Path(tempfile.mkdtemp(prefix="agent-call-"))
    try:
        script = write_call(train, folder)
        # What is called is a copy: there is no source that a patch could change.
        found = _diagnose(str(script), tuple(args), options | {"patch": False}, shown)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = found.workload.model_copy(update={"script": _name(train)})
    return found.model_copy(update={"workload": told})


def _check_names(options: dict[str, Any]) -> None:
    from agent.request import Request
    from agent.workload import Limits

    known = {*Request.model_fields, *Limits.model_fields, "progress"} - {"workload", "limits"}
    unknown = sorted(options.keys() - known)
    if unknown:
        near = difflib.get_close_matches(unknown[0], sorted(known), n=1)
        raise UsageError(f"no option {unknown[0]!r}" + (f": {near[0]}?" if near else ""))
    for name in ("only", "skip", "offer"):
        given = options.get(name, ())
        options[name] = (given,) if isinstance(given, str) else tuple(given)


def _diagnose(script: str, args: tuple[str, ...], options: dict[str, Any], shown: Any) -> Diagnosis:
    from agent.controller import diagnose

    request = build_request(script, args, options)
    with watching(sys.stderr, Path(script).stem, request.budget, shown) as listener:
        diagnosis = diagnose(request, listener)
    if diagnosis.verdict == "failed":
        raise WorkloadError(diagnosis.error or "the untreated run fails")
    return diagnosis


def write_call(train: Callable[[], Any], folder: Path) -> Path:
    """Write a script that calls the callable, with all that it needs, into an empty folder.

    Functions of the main module and of notebook cells travel by value, with copies of their source
    text, so that symptoms can name their lines; those of other modules are imported.

    Returns:
        The script.

    Raises:
        UsageError: The callable cannot be sent to another process.
    """
    import cloudpickle

    script = folder / f"{re.sub(r'[^a-z0-9_]', '', _name(train).rpartition('.')[2])}_call.py"
    copies = _copy_sources(train, folder)
    with (folder / "callable.pkl").open("wb") as file:
        pickle.dump(([entry for entry in sys.path if entry], copies), file)
        try:
            cloudpickle.dump(train, file)
        except Exception as error:
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            raise UsageError(
                f"{_name(train)} cannot be sent to another process ({why}): "
                "let it make what it needs itself"
            ) from error
    shutil.copy(called.__file__, script)
    return script


def _copy_sources(train: Callable[[], Any], folder: Path) -> dict[str, str]:
    """Copy each source of which code travels by value; gives the names of the copies."""
    copies: dict[str, str] = {}
    for function in called.functions_below(train):
        original = function.__code__.co_filename
        if original in copies or function.__module__ != "__main__":
            continue
        lines = linecache.getlines(original, function.__globals__)
        if lines:
            name = Path(original).name if os.path.exists(original) else "cell.py"
            stem = re.sub(r"\W", "", Path(name).stem) or "cell"
            stem = "cell" if stem.isdigit() else stem
            taken = list(copies.values())
            copy = next(
                name
                for n in range(1, 10_000)
                if (name := f"{stem}{n if n > 1 else ''}.py") not in taken
            )
            (folder / copy).write_text("".join(lines), encoding="utf-8", errors="replace")
            copies[original] = copy
    return copies


def _name(train: Callable[[], Any]) -> str:
    return str(getattr(train, "__qualname__", type(train).__name__)).replace(".<locals>", "")
