"""Healthy scripts of many kinds raise no alarm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from probes import Objective, Trace, probes

SCRIPTS = sorted((Path(__file__).parent / "healthy").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", SCRIPTS, ids=lambda script: f"{script.parent.name}/{script.stem}"
)
def test_a_healthy_script_raises_no_alarm(script: Path, run_script: Callable[..., Trace]) -> None:
    trace = run_script(script)
    objective = Objective.infer(trace)
    assert trace.steps >= 60
    assert objective is not None and len(objective.series(trace)) >= 5
    alarms = [
        symptom for probe in probes for symptom in probe.read(trace, objective) if symptom.alarming
    ]
    assert not alarms
