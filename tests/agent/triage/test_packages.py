"""Which packages are not what they were when a run was started."""

from __future__ import annotations

import importlib.metadata
import json
import platform

import pytest

from agent.triage.packages import changed_packages
from agent.triage.runs import Run


def changes(noted: str) -> list[str]:
    tags = {"agent.run.packages": noted}
    return changed_packages(Run("1", "a run", "0", "FAILED", 0.0, tags=tags))


def test_only_what_differs_is_told() -> None:
    click = importlib.metadata.version("click")
    noted = {"python": platform.python_version(), "click": click, "numpy": "0.1", "theirs": "7"}
    numpy = importlib.metadata.version("numpy")
    assert changes(json.dumps(noted)) == [f"numpy 0.1 → {numpy}"]


@pytest.mark.parametrize("noted", ["", "nonsense", "[]", "7", '{"": 1}', 4000 * "["])
def test_nonsense_says_nothing(noted: str) -> None:
    assert changes(noted) == []
