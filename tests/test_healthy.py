"""Healthy scripts of many kinds raise no alarm."""

from __future__ import annotations

import contextlib
import io
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from probes import Objective, Trace, probes
from probes.tap import Tap
from probes.tap.printed import Parser
from probes.trace import Event

SCRIPTS = sorted((Path(__file__).parent / "healthy").glob("*.py"))


class Printed(io.StringIO):
    """Takes what a script prints, and reports the metrics in it."""

    def __init__(self, report: Callable[[str, float], None]) -> None:
        super().__init__()
        self._report = report
        self._parser = Parser()

    def write(self, text: str) -> int:
        for line in text.splitlines():
            for name, value in self._parser.feed(line):
                self._report(name, value)
        return len(text)


def observe(script: Path) -> Trace:
    events: list[Event] = []
    tap = Tap(events.append, script.parent)

    def report(name: str, value: float) -> None:
        events.append({"event": "metric", "step": tap.step, "name": name, "value": value})

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tap.install()
    try:
        with contextlib.redirect_stdout(Printed(report)):
            runpy.run_path(str(script), run_name="__main__")
    finally:
        tap.close()
        torch.set_num_threads(threads)
    return Trace.of(events)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_healthy_script_raises_no_alarm(script: Path) -> None:
    trace = observe(script)
    objective = Objective.infer(trace)
    assert trace.steps >= 60
    assert objective is not None and len(objective.series(trace)) >= 5
    alarms = [
        symptom for probe in probes for symptom in probe.read(trace, objective) if symptom.alarming
    ]
    assert not alarms
