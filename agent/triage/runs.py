"""What triage knows of an MLflow run, and the tags that it writes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.recorder.provider import PREFIX

LEASE = "agent.triage.lease"
VERDICT = "agent.triage.verdict"
DIAGNOSIS = "agent.triage.diagnosis"
ATTEMPTS = "agent.triage.attempts"
BASIS = "agent.triage.basis"
SUBJECT = "agent.subject"
NOTE = "mlflow.note.content"
_OURS = ("agent.verdict", "agent.trial", SUBJECT)
_OVERFLOWED = 1.79e308  # MLflow stores infinities as the largest double.

Kind = Literal["crashed", "killed", "stale", "not-finite", "collapsed", "behind", "where"]


@dataclass(frozen=True)
class Run:
    """One MLflow run.

    Attributes:
        run_id: Its identity.
        name: What it is called.
        experiment_id: Where it belongs.
        status: MLflow's word for how it ended, ``RUNNING`` where it did not.
        started: Unix time in seconds.
        ended: The same; None while it runs.
        last_sign: The time of the last metric that it logged, or of its start.
        tags: By name.
        params: By name.
        metrics: The last value of each metric that is not of the machine.
    """

    run_id: str
    name: str
    experiment_id: str
    status: str
    started: float
    ended: float | None = None
    last_sign: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Any) -> Run:
        """Take what is needed of MLflow's entity."""
        info, data = run.info, run.data
        started = (info.start_time or 0) / 1000
        # The entity has the times of its metrics, but no public way to them.
        signs = [metric.timestamp / 1000 for metric in getattr(data, "_metric_objs", ())]
        return cls(
            run_id=info.run_id,
            name=info.run_name or info.run_id,
            experiment_id=info.experiment_id,
            status=info.status,
            started=started,
            ended=info.end_time / 1000 if info.end_time else None,
            last_sign=max([started, *signs]),
            tags=dict(data.tags),
            params=dict(data.params),
            metrics={k: v for k, v in data.metrics.items() if not k.startswith("system/")},
        )

    @property
    def ours(self) -> bool:
        """Whether it is a record of a diagnosis."""
        return any(tag in self.tags for tag in _OURS)

    @property
    def done(self) -> bool:
        """Whether it has been diagnosed."""
        return VERDICT in self.tags

    def noted(self, name: str) -> str:
        """What the recorder noted under a name; empty where it did not."""
        return self.tags.get(PREFIX + name, "")

    @property
    def arguments(self) -> tuple[str, ...] | None:
        """The arguments that it was started with; None where they are not known."""
        try:
            words = json.loads(self.noted("argv"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            return None
        return tuple(words)


@dataclass(frozen=True)
class Case:
    """A run that needs help.

    Attributes:
        run: The run.
        kind: What is wrong with it.
        reason: The same for a person, in one line.
    """

    run: Run
    kind: Kind
    reason: str


def is_finite(value: float) -> bool:
    """Whether a stored metric was a number when it was logged."""
    return math.isfinite(value) and abs(value) < _OVERFLOWED
