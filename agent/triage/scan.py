"""Finds the runs of an experiment that need help, in one pass and with flat memory."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.recorder.facts import is_gone
from agent.text import duration
from agent.triage.judge import Judge
from agent.triage.runs import Case, Run
from agent.triage.tracking import Tracking

_BEFORE = 200
"""Runs before the watermark that tell what is usual."""
_LATE = 3600.0
"""Seconds by which a run may be entered late: clocks differ, and some logs are sent afterwards."""


@dataclass(frozen=True)
class Selection:
    """Which runs are looked at.

    Attributes:
        age: Seconds; runs that were started before that are left alone. None: none is too old.
        tags: Names and values that a run must have.
        where: Condition in MLflow's language by which a FINISHED run is sick.
        stale_after: Seconds of silence after which a RUNNING run is taken for dead.
    """

    age: float | None = None
    tags: tuple[tuple[str, str], ...] = ()
    where: str = ""
    stale_after: float = 6 * 3600.0

    @property
    def watermark(self) -> str:
        """The tag of an experiment that has its watermark for this selection."""
        told = json.dumps([self.age, self.tags, self.where])
        return f"agent.triage.watermark.{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def takes(self, run: Run) -> bool:
        """Whether a run is one to look at."""
        return (
            not run.ours
            and (self.age is None or run.started >= time.time() - self.age)
            and all(run.tags.get(name) == value for name, value in self.tags)
        )


class Scan:
    """One pass over an experiment.

    Args:
        tracking: The store.
        experiment: Id of the experiment.
        selection: Which runs are looked at.
    """

    def __init__(self, tracking: Tracking, experiment: str, selection: Selection) -> None:
        self._tracking = tracking
        self._experiment = experiment
        self._selection = selection
        self._name = selection.watermark
        self._mark = _number(tracking.experiment_tag(experiment, self._name))
        self._reached = self._mark
        self._began = time.time()
        self.seen = 0

    def cases(self) -> Iterator[Case]:
        """The runs that need help and have not been diagnosed, those that ended first in front."""
        selection, judge = self._selection, Judge(self._tracking.history)
        if self._mark:
            before = f"attributes.end_time <= {round(1000 * self._mark)}"
            condition = f"attributes.status = 'FINISHED' AND {before}"
            earlier = self._runs(condition, "end_time DESC", _BEFORE)
            for run in reversed([run for run in earlier if not run.ours and not run.done]):
                judge.remember(run)
        named = self._named()
        for run in self._runs(f"attributes.end_time > {round(1000 * self._mark)}"):
            self.seen += 1
            self._reached = max(self._reached, run.ended or 0.0)
            if run.ours or run.done:
                continue
            case = _judged(run, judge, named)
            if case is not None and selection.takes(run):
                yield case
        for run in self._runs("attributes.status = 'RUNNING'", "start_time ASC"):
            self.seen += 1
            if selection.takes(run) and not run.done:
                reason = why_stale(run, selection.stale_after)
                if reason:
                    yield Case(run, "stale", reason)

    def settle(self, pending: Iterable[Case]) -> None:
        """Note how far everything is settled, so that the next scan begins there.

        Args:
            pending: Cases of this scan that are not done.
        """
        ends = [case.run.ended for case in pending if case.run.ended is not None]
        mark = min([self._reached, self._began - _LATE, *(end - 0.001 for end in ends)])
        if mark > self._mark:
            self._tracking.tag_experiment(self._experiment, self._name, f"{mark:.3f}")

    def _named(self) -> set[str]:
        """Ids of the runs that ``--where`` calls sick."""
        if not self._selection.where:
            return set()
        after = f"attributes.end_time > {round(1000 * self._mark)}"
        condition = f"attributes.status = 'FINISHED' AND {after} AND {self._selection.where}"
        return {run.run_id for run in self._runs(condition)}

    def _runs(
        self, condition: str, order: str = "end_time ASC", most: int | None = None
    ) -> Iterator[Run]:
        return self._tracking.runs(self._experiment, condition, order, most)


def _judged(run: Run, judge: Judge, named: set[str]) -> Case | None:
    ending = run.noted("ending") or run.tags.get("agent.run.killed", "")
    if run.status == "FAILED":
        return Case(run, "crashed", ending or "FAILED")
    if run.status == "KILLED":
        return Case(run, "killed", ending or "KILLED")
    if run.run_id in named:
        return Case(run, "where", "it meets --where")
    return judge.judge(run) if run.status == "FINISHED" else None


def why_stale(run: Run, limit: float) -> str:
    """Why a RUNNING run is taken for dead; empty where it is not.

    Args:
        run: The run.
        limit: Seconds of silence, where nobody can tell whether its process lives.
    """
    gone = is_gone({name: run.noted(name) for name in ("host", "boot", "pid", "started")})
    if gone is not None:
        return f"its process {run.noted('pid')} is gone" if gone else ""
    silent = time.time() - run.last_sign
    return f"silent for {duration(silent)}" if silent > limit else ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
