"""The entry point that MLflow loads in every script that uses it where the agent is installed.

It lies outside of the package `agent`, because a script may have an ``agent.py`` of its own: the
recorder is loaded under a name that nobody else has, and ``agent`` stays free.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

_NAME = "debugging_agent_recorder"


def _load() -> Any:
    if _NAME not in sys.modules:
        folder = Path(__file__).resolve().with_name("agent") / "recorder"
        specification = importlib.util.spec_from_file_location(
            _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert specification is not None and specification.loader is not None
        sys.modules[_NAME] = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(sys.modules[_NAME])
    return importlib.import_module(f"{_NAME}.provider")


try:
    ReproducibleRun = _load().ReproducibleRun
except Exception as error:  # MLflow goes on without a provider that it cannot import.
    raise ImportError(f"runs are not made reproducible: {error}") from error
