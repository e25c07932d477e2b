"""Writes the records of one diagnosis into MLflow."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.artifacts import FOLDER, tables, write_report
from agent.diagnosis import Diagnosis, LedgerEntry, read_diagnosis
from agent.errors import UsageError
from agent.experience import NONE, gather
from agent.ledger.client import PAGE, connect, experiment_id, user_name
from agent.ledger.lookup import evidence, read_outcome
from agent.ledger.records import (
    MAX_PARAM,
    MAX_TAG,
    PATCHED,
    AbortRecord,
    FinishRecord,
    Point,
    Record,
    StartRecord,
    TrialRecord,
    clean_key,
    spec_of,
    tried_tags,
)
from agent.redact import find_secrets, hide
from agent.store import Store
from agent.trace_file import REST, write_trace
from agent.workload import Outcome, TrialKey, TrialSpec
from remedies.treatment import Treatment

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

_BATCH = 1000  # metrics that MLflow takes at once
_BATCH_TAGS = 100  # parameters and tags that it takes at once
_IDENTITY = "agent.identity"
_REPEATABLE = ("completed", "stopped", "raised", "exited")
"""Endings that the program itself came to, rather than a limit or somebody from outside."""


class Book:
    """One diagnosis in MLflow. Uses the client only: no run ever is the active one."""

    def __init__(self, store: Store, experiment: str, start: StartRecord) -> None:
        with store.first_use():
            self._client = connect(store)
            self._experiment = experiment_id(self._client, experiment, store)
        request = start.request
        self._secrets = find_secrets([*request.workload.args, *(request.good or ())])
        self._trials: dict[str, TrialRecord] = {}  # by their run
        learns = request.experience and not request.observe
        self.experience = gather(evidence(self._client, self._experiment)) if learns else NONE
        self._identity = start.identity
        self._fresh = request.fresh
        self._earlier: dict[str, dict[TrialKey, Run]] = {}
        self._same_trials(start.identity)
        self.known: list[Outcome] = []
        resume = start.request.resume
        self._parent = self._resume(resume, start.digest) if resume else self._start(start)
        self.entry = LedgerEntry(
            tracking_uri=store.shown, experiment_id=self._experiment, run_id=self._parent
        )

    def write(self, record: Record) -> None:
        """Write one record."""
        match record:
            case StartRecord():
                pass  # written already
            case TrialRecord():
                self._write_trial(record)
            case FinishRecord():
                self._write_finish(record)
            case AbortRecord():
                self._log(self._parent, tags=record.tags)
                self._client.set_terminated(self._parent, record.status)

    def recall(self, spec: TrialSpec, patched: str = "") -> Outcome | None:
        """The same trial of an earlier diagnosis, where there was one; see `Ledger.recall`."""
        run = self._same_trials(patched or self._identity).get(spec.key)
        if run is None:
            return None
        return replace(read_outcome(self._client, run), spec=spec, recalled=run.info.run_id)

    def _same_trials(self, identity: str) -> dict[TrialKey, Run]:
        """The trials of earlier diagnoses that had this identity, the newest of each."""
        if self._fresh or not identity:
            return {}
        if identity in self._earlier:
            return self._earlier[identity]
        found = self._earlier[identity] = {}
        condition = f"tags.`{_IDENTITY}` = '{identity}'"
        for run in self._client.search_runs([self._experiment], condition, max_results=PAGE):
            if run.data.tags.get("agent.ending") in _REPEATABLE:
                found.setdefault(spec_of(run.data.tags).key, run)
        return found

    def _start(self, start: StartRecord) -> str:
        tags = {**start.tags, "mlflow.user": user_name()}
        run = self._client.create_run(
            self._experiment, start_time=round(1000 * start.time), tags=tags, run_name=start.name
        )
        self._log(run.info.run_id, params=start.params)
        return str(run.info.run_id)

    def _resume(self, run_id: str, digest: str) -> str:
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            raise UsageError(f"there is no run {run_id} to resume: {error.message}") from error
        if "agent.schema" not in run.data.tags:
            raise UsageError(f"run {run_id} is not a diagnosis that can be resumed")
        self._experiment = run.info.experiment_id
        self._log(run_id, tags={"agent.verdict": "running"})
        self._client.update_run(run_id, status="RUNNING")
        if run.data.tags.get("agent.files", "") == digest:
            self.known = list(self._finished_trials(run_id))
        return run_id

    def _finished_trials(self, parent: str) -> Iterator[Outcome]:
        """The trials of a diagnosis that were recorded to their end."""
        runs = self._client.search_runs(
            [self._experiment], f"tags.`mlflow.parentRunId` = '{parent}'", max_results=1000
        )
        for run in runs:
            tags = run.data.tags
            if run.info.status == "RUNNING":  # Cut off while it was written: it is written anew.
                self._client.delete_run(run.info.run_id)
                continue
            if tags.get("agent.ending") == "cancelled" or tags.get("agent.part") == PATCHED:
                continue
            outcome = read_outcome(self._client, run)
            self._trials[run.info.run_id] = TrialRecord(outcome, tags["agent.part"])
            yield outcome

    def _write_trial(self, record: TrialRecord) -> None:
        trace = record.outcome.trace  # Here, or it is read from the disk for each that asks.
        tags = {"mlflow.parentRunId": self._parent, "mlflow.user": user_name()}
        run_id = self._client.create_run(
            self._experiment, start_time=record.started, tags=tags, run_name=record.name
        ).info.run_id
        identity = record.patched or self._identity
        tags = record.tags | ({_IDENTITY: identity} if identity else {})
        self._log(run_id, params=record.params, tags=tags, points=record.points)
        with tempfile.TemporaryDirectory(prefix="agent-trace-") as name:
            folder = Path(name)
            write_trace(trace, folder)
            rest = (folder / REST).read_text(encoding="utf-8")
            (folder / REST).write_text(hide(rest, self._secrets), encoding="utf-8")
            self._client.log_artifacts(run_id, name)
        self._client.set_terminated(run_id, record.status, end_time=record.ended)
        if not record.patched:
            self._trials[run_id] = record

    def _write_finish(self, record: FinishRecord) -> None:
        runs: defaultdict[Treatment, list[str]] = defaultdict(list)
        for run_id, trial in self._trials.items():
            runs[trial.outcome.spec.treatment].append(run_id)
        for tried in record.diagnosis.tried:
            for run_id in runs[tried.treatment]:
                self._log(run_id, tags=tried_tags(tried))
        points = [*record.points, *record.curves(self._trials.values())]
        self._log(self._parent, tags=record.tags, points=points)
        for name, text in record.files.items():
            self._client.log_text(self._parent, hide(text, self._secrets), name)
        try:
            self._write_report(record.diagnosis)
        except Exception as error:  # The record is whole without it.
            self._log(self._parent, tags={"agent.report": f"not made: {error}"})
        self._client.update_run(self._parent, name=hide(record.name, self._secrets))
        self._client.set_terminated(self._parent, record.status)

    def _write_report(self, diagnosis: Diagnosis) -> None:
        told = read_diagnosis(hide(diagnosis.model_dump_json(), self._secrets))
        with tempfile.TemporaryDirectory(prefix="agent-report-") as name:
            write_report(told, [trial.outcome for trial in self._trials.values()], Path(name))
            self._client.log_artifacts(self._parent, name, FOLDER)
        for name, columns in tables(told).items():
            self._client.log_table(self._parent, columns, f"{name}.json")

    def _log(
        self,
        run_id: str,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        points: Iterable[Point] = (),
    ) -> None:
        from mlflow.entities import Param, RunTag

        all_params = [Param(*pair) for pair in self._cleaned(params or {}, MAX_PARAM)]
        all_tags = [RunTag(*pair) for pair in self._cleaned(tags or {}, MAX_TAG)]
        for start in range(0, max(len(all_params), len(all_tags)), _BATCH_TAGS):
            part = slice(start, start + _BATCH_TAGS)
            self._client.log_batch(run_id, params=all_params[part], tags=all_tags[part])
        metrics = _metrics(points)
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])

    def _cleaned(self, pairs: Mapping[str, str], longest: int) -> list[tuple[str, str]]:
        return [
            (clean_key(key), hide(value, self._secrets)[:longest]) for key, value in pairs.items()
        ]


def _metrics(points: Iterable[Point]) -> list[Metric]:
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    return [Metric(clean_key(name), value, at or now, step) for name, step, value, at in points]
