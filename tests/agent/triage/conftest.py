"""Runs in a real MLflow store on SQLite, written without a script."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.recorder.facts import code_state, process_identity
from agent.triage.runs import Run
from agent.triage.tracking import Tracking, open_tracking

_names = itertools.count()


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    return open_tracking(None, tmp_path_factory.mktemp("store"))


@pytest.fixture
def experiment(tracking: Tracking) -> str:
    """A new experiment; its name is ``case-`` and its id."""
    return str(tracking._client.create_experiment(f"case-{next(_names)}-{time.time_ns()}"))


Log = Callable[..., Run]


@pytest.fixture
def log(tracking: Tracking, experiment: str) -> Log:
    """Writes a run: ``log("FAILED", val_acc=[0.1, 0.9], tags={...}, ago=60)``."""

    def log(
        status: str = "FINISHED",
        tags: dict[str, str] | None = None,
        ago: float = 60.0,
        **metrics: Sequence[float],
    ) -> Run:
        client: Any = tracking._client
        began = round(1000 * (time.time() - ago))
        run_id = client.create_run(experiment, start_time=began, tags=tags).info.run_id
        for name, values in metrics.items():
            for step, value in enumerate(values):
                client.log_metric(run_id, name, value, timestamp=began + step, step=step)
        if status != "RUNNING":
            client.set_terminated(run_id, status, end_time=began + 1000)
        return tracking.run(run_id)

    return log


@pytest.fixture
def noted(project: Path) -> Callable[..., dict[str, str]]:
    """What the recorder would note of a script of the project."""

    def noted(path: Path, /, *arguments: str, **changes: str) -> dict[str, str]:
        facts = {
            "schema": "1",
            "script": str(path),
            "cwd": str(project),
            "argv": json.dumps(arguments),
            **code_state(str(path)),
            **process_identity(1),
        }
        return {f"agent.run.{name}": text for name, text in (facts | changes).items()}

    return noted
