"""The record of a diagnosis in MLflow: one run for it, and a nested run for each trial.

This is the only file that imports MLflow. The import takes two seconds and the first use of a store
three more, so all of it happens on a thread of its own while trials run. When MLflow fails in the
middle, what is left to record is written to files instead, and `Ledger.close` says where.
"""

from __future__ import annotations

import getpass
import logging
import os
import queue
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from agent.artifacts import FOLDER, prepare, tables, write_report
from agent.candidate import read_treatment
from agent.diagnosis import Diagnosis, LedgerEntry, Tried, read_diagnosis
from agent.errors import AgentError, InfrastructureError, UsageError
from agent.experience import NONE, Experience, gather
from agent.records import (
    MAX_PARAM,
    MAX_TAG,
    AbortRecord,
    FinishRecord,
    Point,
    Record,
    StartRecord,
    TrialRecord,
    clean_key,
    tried_tags,
)
from agent.redact import find_secrets, hide
from agent.request import Request
from agent.store import Store
from agent.trace_file import REST, TABLE, read_trace, write_trace
from agent.workload import Outcome, TrialSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

__all__ = ["Ledger", "read_trace"]

_BATCH = 1000  # metrics that MLflow takes at once
_BATCH_TAGS = 100  # parameters and tags that it takes at once
_PAGE = 500  # runs that a search gives at once
_MOST_PAGES = 10  # of diagnoses that are learned from, the newest first
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; 120 by default
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 by default: minutes, when a server goes away
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class Ledger:
    """Records one diagnosis.

    Args:
        tracking_uri: MLflow store; None for SQLite in ``directory``.
        experiment: Name of the experiment; made when there is none.
        directory: Folder of the store, and of ``spool`` for what could not be recorded.
    """

    def __init__(self, tracking_uri: str | None, experiment: str, directory: Path) -> None:
        self._store = Store.locate(tracking_uri, directory)
        self._experiment = experiment
        self._spool = directory / "spool"
        self._records: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._entry: Future[LedgerEntry] = Future()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._spooled: Path | None = None
        self._known: list[Outcome] = []
        self._experience = NONE
        self._told = False  # whether somebody knows that it failed, or cannot care

    def check(self) -> None:
        """Make sure, within seconds, that the store can be used.

        Raises:
            InfrastructureError: It cannot.
        """
        self._store.check()

    def open(self, request: Request, digest: str = "") -> None:
        """Begin the record without waiting for it.

        Args:
            request: What was asked for; where it resumes a diagnosis, its record goes on.
            digest: Of the user's files; trials of other files are not taken for known.
        """
        start = StartRecord(request, time.time(), digest)
        self._thread = threading.Thread(
            target=self._work, args=(start,), name="ledger", daemon=True
        )
        self._thread.start()

    @property
    def known(self) -> list[Outcome]:
        """Trials that the resumed diagnosis had finished; waits until they are read."""
        return self._known if self.entry else []

    @property
    def entry(self) -> LedgerEntry:
        """Where the diagnosis is recorded; waits until that is known.

        Raises:
            InfrastructureError: MLflow fails.
            UsageError: The run to resume does not exist.
        """
        try:
            return self._entry.result()
        except AgentError:
            self._told = True
            raise

    @property
    def experience(self) -> Experience:
        """What the earlier diagnoses of the experiment say; waits until they are read."""
        return self._experience if self.entry else NONE

    def start(self, request: Request) -> LedgerEntry:
        """Begin the record, and wait until MLflow has it: `open`, then `entry`."""
        self.open(request)
        return self.entry

    def record(self, outcome: Outcome, part: str, tried: Tried | None = None) -> None:
        """Record a trial that has ended; what came of its treatment may be told at the end."""
        self._records.put(TrialRecord(outcome, part, tried))

    def finish(self, diagnosis: Diagnosis, markdown: str) -> None:
        """Record the result."""
        self._records.put(FinishRecord(diagnosis, markdown))

    def abort(self, reason: str, killed: bool | None = None) -> None:
        """Record that the diagnosis dies; `close` is silent from now on.

        Args:
            reason: Why, in one line.
            killed: Whether it was stopped from outside; None: if the reason is an interrupt.
        """
        self._told = True
        by_hand = reason.startswith(("KeyboardInterrupt", "SystemExit"))
        self._records.put(AbortRecord(reason, by_hand if killed is None else killed))

    def close(self) -> None:
        """Wait until everything is recorded.

        Raises:
            InfrastructureError: Something could not be recorded; it says where that is instead.
        """
        if self._thread is None:
            return
        self._records.put(None)
        self._thread.join()
        self._thread = None
        if self._error is not None and not self._told:
            raise self._failure(self._error) from self._error

    def _failure(self, error: Exception) -> AgentError:
        if isinstance(error, AgentError):
            return error
        instead = f"; what it did not take is in {self._spooled}" if self._spooled else ""
        lines = str(error).splitlines() or [type(error).__name__]
        return InfrastructureError(f"MLflow at {self._store.shown} failed: {lines[0]}{instead}")

    def _work(self, start: StartRecord) -> None:
        """The thread: write one record after the other, to MLflow or else to files."""
        book: _Book | None = None
        try:
            book = _Book(self._store, self._experiment, start)
            self._known, self._experience = book.known, book.experience
            self._entry.set_result(book.entry)
            prepare()
        except Exception as error:
            self._error = error
            self._entry.set_exception(self._failure(error))
            self._write_to_files(start)
        while (record := self._records.get()) is not None:
            if book is None or self._error is not None:
                self._write_to_files(record)
                continue
            try:
                book.write(record)
            except Exception as error:
                self._error = error
                self._write_to_files(record)

    def _write_to_files(self, record: Record) -> None:
        failed = self._entry.exception() is not None
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}" if failed else self.entry.run_id
        folder = self._spooled or self._spool / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            record.spool(folder)
            self._spooled = folder
        except OSError as error:
            self._error = error


class _Book:
    """One diagnosis in MLflow. Uses the client only: no run ever is the active one."""

    def __init__(self, store: Store, experiment: str, start: StartRecord) -> None:
        with store.first_use():
            self._client = connect(store)
            self._experiment = experiment_id(self._client, experiment, store)
        request = start.request
        self._secrets = find_secrets([*request.workload.args, *(request.good or ())])
        self._trials: dict[str, TrialRecord] = {}  # by their run
        self.experience = gather(_evidence(self._client, self._experiment))
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
            if run.info.status == "RUNNING" or tags.get("agent.ending") == "cancelled":
                continue
            outcome = read_outcome(self._client, run)
            self._trials[run.info.run_id] = TrialRecord(outcome, tags["agent.part"])
            yield outcome

    def _write_trial(self, record: TrialRecord) -> None:
        tags = {"mlflow.parentRunId": self._parent, "mlflow.user": user_name()}
        run_id = self._client.create_run(
            self._experiment, start_time=record.started, tags=tags, run_name=record.name
        ).info.run_id
        self._log(run_id, params=record.params, tags=record.tags, points=record.points)
        with tempfile.TemporaryDirectory(prefix="agent-trace-") as name:
            folder = Path(name)
            write_trace(record.outcome.trace, folder)
            rest = (folder / REST).read_text(encoding="utf-8")
            (folder / REST).write_text(hide(rest, self._secrets), encoding="utf-8")
            self._client.log_artifacts(run_id, name)
        self._client.set_terminated(run_id, record.status, end_time=record.ended)
        self._trials[run_id] = record

    def _write_finish(self, record: FinishRecord) -> None:
        for tried in record.diagnosis.tried:
            for run_id, trial in self._trials.items():
                if trial.outcome.spec.treatment == tried.treatment:
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


def read_outcome(client: MlflowClient, run: Run) -> Outcome:
    """The outcome of a trial that was recorded."""
    tags, times = run.data.tags, run.info
    with tempfile.TemporaryDirectory(prefix="agent-trace-") as folder:
        for name in (TABLE, REST):
            client.download_artifacts(times.run_id, name, folder)
        trace = read_trace(Path(folder))
    stop = int(tags["agent.max-steps"]) if "agent.max-steps" in tags else None
    spec = TrialSpec(
        int(tags["agent.trial"]),
        read_treatment(tags["agent.treatment"]),
        int(tags["agent.seed"]),
        stop,
    )
    seconds = (times.end_time - times.start_time) / 1000
    return Outcome(spec, trace, times.start_time / 1000, seconds)


def experience_of(experiment: str, tracking_uri: str | None, directory: Path) -> Experience:
    """What the diagnoses of an experiment say about the remedies.

    Args:
        experiment: Name of the experiment; nothing is known where there is none of it.
        tracking_uri: MLflow store; None for SQLite in ``directory``.
        directory: Folder of the store.

    Raises:
        InfrastructureError: MLflow fails.
    """
    store = Store.locate(tracking_uri, directory)
    store.check()
    with store.first_use():
        client = connect(store)
        found = client.get_experiment_by_name(experiment)
    return gather(_evidence(client, found.experiment_id)) if found else NONE


def _evidence(client: MlflowClient, experiment: str) -> Iterator[tuple[str, str]]:
    """What each of the newest diagnoses says, and the word of its reviewer."""
    page: str | None = None
    for _ in range(_MOST_PAGES):
        runs = client.search_runs(
            [experiment], "tags.`agent.evidence` IS NOT NULL", max_results=_PAGE, page_token=page
        )
        for run in runs:
            yield run.data.tags["agent.evidence"], run.data.tags.get("agent.review", "")
        page = runs.token
        if not page:
            return


def params_of(run_id: str, tracking_uri: str | None, directory: Path) -> dict[str, str]:
    """The parameters that a run of the store has logged.

    Args:
        run_id: The run.
        tracking_uri: MLflow store; None for SQLite in ``directory``.
        directory: Folder of the store.

    Raises:
        UsageError: There is no such run, or it has logged none.
        InfrastructureError: MLflow fails.
    """
    store = Store.locate(tracking_uri, directory)
    store.check()
    with store.first_use():
        client = connect(store)
        from mlflow.exceptions import MlflowException

        try:
            params = dict(client.get_run(run_id).data.params)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise UsageError(
                    f"--good-run: there is no run {run_id} in {store.shown}"
                ) from error
            raise InfrastructureError(f"MLflow at {store.shown} failed: {error.message}") from error
    if not params:
        raise UsageError(f"--good-run: the run {run_id} has logged no parameters")
    return params


def connect(store: Store) -> MlflowClient:
    """A client that keeps quiet, and gives up on a dead server within a minute."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)


def experiment_id(client: MlflowClient, name: str, store: Store) -> str:
    """The experiment of a name, made where there is none.

    Raises:
        InfrastructureError: It was deleted.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifact_location=store.artifacts))
        except MlflowException:  # another diagnosis was faster
            experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise InfrastructureError(
            f"the MLflow experiment {name!r} was deleted: restore it, or give another --experiment"
        )
    return str(experiment.experiment_id)


def _metrics(points: Iterable[Point]) -> list[Metric]:
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    return [Metric(clean_key(name), value, at or now, step) for name, step, value, at in points]


def user_name() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry for this user, as in many containers
        return "unknown"
