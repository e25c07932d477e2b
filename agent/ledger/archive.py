"""Stored diagnoses: read back from MLflow, and reviewed there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.diagnosis import Diagnosis, read_diagnosis
from agent.errors import AgentError, UsageError, first_line
from agent.ledger.client import connect, user_name
from agent.ledger.lookup import read_outcome
from agent.ledger.records import PATCHED, spec_of
from agent.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from agent.page.evidence import Evidence

REVIEW = "agent.review"
"""Tag with the reviewer's verdict: ``accepted`` or ``rejected``."""
NOTE = "agent.review-note"
REVIEWER = "agent.reviewer"

_REVIEWED = ("accepted", "rejected")
_MOST = 1000
_LONGEST_NOTE = 5000  # characters that MLflow surely takes


@dataclass(frozen=True)
class Entry:
    """A diagnosis in the list of those that wait for a review.

    Attributes:
        run_id: Its MLflow run.
        started: Unix time in seconds.
        verdict: Its verdict.
        script: What was diagnosed.
        symptom: The worst symptom.
        fix: What fixed it; empty where nothing did.
        recovery: What that did to the metric.
    """

    run_id: str
    started: float
    verdict: str
    script: str
    symptom: str
    fix: str
    recovery: str


class Archive:
    """The diagnoses that a store holds.

    Args:
        tracking_uri: MLflow store; None for SQLite in ``directory``.
        directory: Folder of the store.

    Raises:
        InfrastructureError: MLflow fails.
    """

    def __init__(self, tracking_uri: str | None, directory: Path) -> None:
        self._store = Store.locate(tracking_uri, directory)
        self._store.check()
        with self._failing(), self._store.first_use():
            self._client: MlflowClient = connect(self._store)

    def diagnosis(self, run_id: str) -> Diagnosis:
        """A stored diagnosis.

        Raises:
            UsageError: There is none under this run.
        """
        run = self._run(run_id)
        if run.info.status == "RUNNING":
            raise UsageError(f"the diagnosis of run {run_id} is not finished")
        with self._failing(), tempfile.TemporaryDirectory(prefix="agent-archive-") as folder:
            try:
                self._client.download_artifacts(run_id, "diagnosis.json", folder)
                text = (Path(folder) / "diagnosis.json").read_text("utf-8")
            except Exception as error:
                reason = run.data.tags.get("agent.error") or "it has no diagnosis.json"
                raise UsageError(f"run {run_id} has no diagnosis: {reason}") from error
        try:
            return read_diagnosis(text)
        except (ValueError, AttributeError) as error:
            raise UsageError(
                f"the diagnosis of run {run_id} cannot be read: another version made it"
            ) from error

    def evidence(self, diagnosis: Diagnosis, run_id: str) -> Evidence:
        """A stored diagnosis with the traces that its page shows."""
        from agent.page.evidence import Evidence, is_needed

        experiment, outcomes = self._run(run_id).info.experiment_id, []
        with self._failing():
            trials = self._client.search_runs(
                [experiment], f"tags.`mlflow.parentRunId` = '{run_id}'", max_results=_MOST
            )
            for run in trials:
                tags = run.data.tags
                if run.info.status == "RUNNING" or "agent.treatment" not in tags:
                    continue
                if tags.get("agent.part") == PATCHED:
                    continue
                if is_needed(diagnosis, spec_of(tags)):
                    outcomes.append(read_outcome(self._client, run))
        return Evidence.of(diagnosis, outcomes)

    def waiting(self, experiment: str) -> Iterator[Entry]:
        """The finished diagnoses of an experiment that nobody has reviewed, the latest first.

        Raises:
            UsageError: There is no such experiment.
        """
        with self._failing():
            found = self._client.get_experiment_by_name(experiment)
            if found is None:
                raise UsageError(f"there is no experiment {experiment!r} in {self._store.shown}")
            runs = self._client.search_runs(
                [found.experiment_id],
                "tags.`agent.schema` = '1' and attributes.status = 'FINISHED'",
                max_results=_MOST,
                order_by=["attributes.start_time DESC"],
            )
        for run in runs:
            tags = run.data.tags
            verdict = tags.get("agent.verdict", "")
            if tags.get(REVIEW) in _REVIEWED or verdict not in ("fixed", "unresolved"):
                continue
            yield Entry(
                run_id=run.info.run_id,
                started=run.info.start_time / 1000,
                verdict=verdict,
                script=tags.get("agent.script", ""),
                symptom=tags.get("agent.symptom", ""),
                fix=tags.get("agent.fix", ""),
                recovery=tags.get("agent.recovery", ""),
            )

    def review(self, run_id: str, accepted: bool, note: str) -> None:
        """Record what a reviewer says of a diagnosis; a later review takes the place of this one.

        Raises:
            UsageError: There is no such diagnosis.
        """
        self._run(run_id)
        tags = {
            REVIEW: "accepted" if accepted else "rejected",
            NOTE: note[:_LONGEST_NOTE],
            REVIEWER: user_name(),
            "agent.reviewed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with self._failing():
            for name, value in tags.items():
                self._client.set_tag(run_id, name, value)

    def _run(self, run_id: str) -> Run:
        from mlflow.exceptions import MlflowException

        with self._failing():
            try:
                run = self._client.get_run(run_id)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise UsageError(f"there is no run {run_id} in {self._store.shown}") from error
                raise
        if "agent.schema" not in run.data.tags:
            parent = run.data.tags.get("mlflow.parentRunId")
            hint = f": it is a trial of {parent}" if parent else ""
            raise UsageError(f"run {run_id} is no diagnosis{hint}")
        return run

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except AgentError:
            raise
        except Exception as error:
            raise self._store.failure(first_line(error)) from error
