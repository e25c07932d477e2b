"""A world without training: runs score by a rule, and are sick by the same rule."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent.episode import Episode
from agent.experience import Experience
from agent.request import Request
from agent.trials import Trials
from agent.workload import Outcome, TrialSpec, Workload
from probes.symptom import Symptom
from probes.trace import Event, Trace
from remedies import remedies
from remedies.base import Remedy
from remedies.treatment import Treatment

Rule = Callable[[Treatment], float | None]
"""The metric of a run under a treatment; None where it breaks."""

HEALTHY = 0.9
"""Metric from which a run shows no symptom."""


class SickBelow:
    """A probe that raises its alarm where the metric ends low."""

    name = "made-up"
    signals = ()

    def __init__(self, *codes: str) -> None:
        self.code = codes[0]
        self._codes = codes

    def read(self, trace: Trace, objective: Any) -> list[Symptom]:
        values = trace.metrics["val_acc"].values if trace.metrics else [0.0]
        if values[-1] >= HEALTHY:
            return []
        return [
            Symptom(code=code, name="made-up", severity=1, where="optimizer", message="low")
            for code in self._codes
        ]


class MadeUp:
    """A launcher that answers at once, by a rule.

    Args:
        rule: Gives the metric.
        idle: Says of which trials the treatment does nothing.

    Attributes:
        ran: The trials, in their order.
    """

    slots = 1

    def __init__(self, rule: Rule, idle: Callable[[TrialSpec], bool] = lambda spec: False) -> None:
        self._rule, self._idle = rule, idle
        self._reports: deque[tuple[int, Outcome]] = deque()
        self.ran: list[TrialSpec] = []

    def __enter__(self) -> MadeUp:
        return self

    def __exit__(self, *error: object) -> None: ...

    def submit(self, spec: TrialSpec) -> None:
        self.ran.append(spec)
        self._reports.append((spec.number, Outcome(spec, self._trace(spec), 0.0, 1.0)))

    def cancel(self, number: int) -> None: ...

    def poll(self, timeout: float = 0.5) -> list[tuple[int, Outcome]]:
        return [self._reports.popleft()]

    def _trace(self, spec: TrialSpec) -> Trace:
        treatment = () if self._idle(spec) else spec.treatment
        value = self._rule(treatment)
        end = "raised" if value is None else "completed"
        score = (value or 0.0) - 0.001 * (spec.seed % 7)
        loss = ["loss", "loss.value", 2.0 - score]
        group = {"where": "SGD", "type": "SGD", "parameters": ["net.weight"]}
        events: list[Event] = [
            {"event": "optimizer", **group},
            {"event": "signals", "step": 0, "phase": "train", "rows": [["SGD", "lr", 0.1], loss]},
            *({"event": "applied", "remedy": a.remedy, "target": a.target} for a in treatment),
            {"event": "metric", "step": 50, "name": "val_acc", "value": 0.1},
            {"event": "metric", "step": 99, "name": "val_acc", "value": score},
            {"event": "ending", "status": end, "steps": 100},
        ]
        return Trace.of(events)


def factor(treatment: Treatment) -> float:
    """What a treatment multiplies the learning rate by."""
    named = [action for action in treatment if action.name == "scale-learning-rate"]
    return float(named[0].params["factor"]) if named else 1.0


def episode_of(
    launcher: MadeUp,
    tmp_path: Path,
    symptoms: Sequence[str] = ("P303",),
    used: Sequence[Remedy] | None = None,
    experience: Experience | None = None,
    **options: Any,
) -> Episode:
    """An observed episode in a made-up world."""
    workload = Workload(script=tmp_path / "train.py", directory=tmp_path)
    request = Request(workload=workload, **options)
    probes: Any = [SickBelow(*symptoms)]
    trials = Trials(launcher, lambda progress: None, lambda *_: None, probes)
    told = experience or Experience()
    units = list(remedies) if used is None else used

    def journal() -> tuple[str, Path]:
        return uuid.uuid4().hex, tmp_path / "studies.log"

    episode = Episode(request, trials, units, journal, lambda: told)
    episode.observe()
    return episode
