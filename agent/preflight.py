"""What is checked before anything starts: the script can be read, the files can be written."""

from __future__ import annotations

import difflib
import importlib.util
import os
import warnings
from pathlib import Path

from agent.errors import UsageError


def check_script(script: str) -> Path:
    """The absolute path of a script that Python can at least read.

    Raises:
        UsageError: It cannot; the message says what to do.
    """
    path = Path(os.path.abspath(script))
    if path.is_dir():
        inside = sorted(file.name for file in path.glob("*.py"))
        example = f", for example {os.path.join(script, inside[0])}" if inside else ""
        raise UsageError(f"{script} is a folder: name the script in it{example}")
    if not path.exists():
        raise UsageError(f"no such file: {script}{_near_scripts(path, script)}")
    if path.suffix == ".ipynb":
        raise UsageError(f"{script} is a notebook: jupyter nbconvert --to script {script}")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {script}: {error.strerror or error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.util.decode_source(source)  # Stricter about encodings, as a run is.
            compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        text = f": {error.text.strip()}" if error.text else ""
        raise UsageError(f"{script}:{error.lineno or 1}: {error.msg}{text}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # The last two: nested too deeply.
        raise UsageError(f"{script} is no Python script: {error}") from error
    return path


def _near_scripts(path: Path, script: str) -> str:
    folder = os.path.dirname(script)
    if not path.parent.is_dir():
        return f" (there is no folder {folder})"
    names = sorted(file.name for file in path.parent.glob("*.py"))
    near = difflib.get_close_matches(path.name, names, n=1) or (names if len(names) == 1 else [])
    return f". Did you mean {os.path.join(folder, near[0])}?" if near else ""


def check_target(file: str | None) -> None:
    """See to it that a file can be written at the end, if one was asked for; ``-`` is stdout.

    Raises:
        UsageError: It cannot.
    """
    if file in (None, "-"):
        return
    path = Path(str(file))
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write to {file}: name a file in a folder that you may write to")
