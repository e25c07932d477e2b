"""What MLflow asks when a run starts: how its script could be started again."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Callable

# Relative, because in a user's script this package has another name.
from .ending import Ending
from .facts import code_state, process_identity

PREFIX = "agent.run."
IN_TRIAL = "DEBUGGING_AGENT_TRIAL"
"""Environment variable of the trials of a diagnosis, in which nothing is noted."""
_LONGEST = 5000
"""Characters of a tag that every MLflow server takes."""


class ReproducibleRun:
    """What MLflow asks when a run starts; see ``mlflow.tracking.context.RunContextProvider``."""

    _ending: Ending | None = None
    _known: dict[str, str] | None = None

    def in_context(self) -> bool:
        """Whether this is a script that could be started again."""
        return IN_TRIAL not in os.environ and _script() is not None and not sys.flags.interactive

    def tags(self) -> dict[str, str]:
        """How the script was started; empty where that cannot be found out."""
        with contextlib.suppress(Exception):
            kind = type(self)
            if kind._ending is None or kind._ending.process != os.getpid():
                script, given = _script() or "", _arguments()
                hide = _redaction(given)
                kind._known = _describe(script, [hide(word) for word in given])
                kind._ending = Ending(script, PREFIX, hide)
                kind._ending.watch()
            return dict(kind._known or {})
        return {}


def _describe(script: str, given: list[str]) -> dict[str, str]:
    found = {
        "schema": "1",
        "script": script,
        "argv": json.dumps(given),
        "cwd": _first_folder(),
        "python": sys.executable,
        "packages": _versions(),
        "processes": os.environ.get("WORLD_SIZE", "1"),  # of torchrun and its like
        **process_identity(os.getpid()),
        **code_state(script),
    }
    specification = getattr(sys.modules["__main__"], "__spec__", None)
    if specification is not None:
        found["module"] = specification.name
    return {PREFIX + name: text for name, text in found.items() if len(text) <= _LONGEST}


def _script() -> str | None:
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(file) if isinstance(file, str) and file.endswith(".py") else None


def _first_folder() -> str:
    """The working directory that the process was started in, as far as a shell has noted it."""
    folder = os.environ.get("PWD", "")
    script = _script()
    word = next((word for word in sys.orig_argv[1:] if word.endswith(".py")), "")
    if script and word and os.path.isabs(folder) and not os.path.isabs(word):
        if os.path.realpath(os.path.join(folder, word)) == os.path.realpath(script):
            return folder
    return os.getcwd()


def _arguments() -> list[str]:
    """The script's arguments as they were given: many scripts take from ``sys.argv``."""
    folder, script = _first_folder(), _script() or ""
    for place, word in enumerate(sys.orig_argv[1:], start=2):
        if os.path.realpath(os.path.join(folder, word)) == os.path.realpath(script):
            return sys.orig_argv[place:]
    return sys.argv[1:]


def _versions() -> str:
    """Versions of Python and of the packages that are imported by now."""
    versions = {"python": platform.python_version()}
    for name, module in sorted(sys.modules.items()):
        if "." in name or name[0] == "_" or name in sys.stdlib_module_names:
            continue
        version = vars(module).get("__version__")
        if isinstance(version, str) and len(versions) < 100:
            versions[name] = version[:50]
    return json.dumps(versions)


def _redaction(words: list[str]) -> Callable[[str], str]:
    """Takes secrets out of a text, by `agent.redact`; the name ``agent`` may be the script's."""
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "redact.py")
    specification = importlib.util.spec_from_file_location("debugging_agent_redact", path)
    assert specification is not None and specification.loader is not None
    redact = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(redact)
    secrets = redact.find_secrets(words)
    return lambda text: str(redact.hide(text, secrets))
