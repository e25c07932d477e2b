"""Reads what the ledger has: trials, the experience of diagnoses, the parameters of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import artifacts
from agent.errors import UsageError
from agent.experience import NONE, Experience, gather
from agent.ledger.client import PAGE, connect, pages
from agent.ledger.records import JOB, spec_of
from agent.store import Store
from agent.trace_file import REST, TABLE, read_trace
from agent.workload import Outcome

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_MOST = 5000  # diagnoses that are learned from, the newest first


def read_outcome(client: MlflowClient, run: Run) -> Outcome:
    """The outcome of a trial that was recorded."""
    times = run.info
    with tempfile.TemporaryDirectory(prefix="agent-trace-") as folder:
        for name in (TABLE, REST):
            client.download_artifacts(times.run_id, name, folder)
        trace = read_trace(Path(folder))
    seconds = (times.end_time - times.start_time) / 1000
    return Outcome(spec_of(run.data.tags), trace, times.start_time / 1000, seconds)


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
    return gather(evidence(client, found.experiment_id)) if found else NONE


def evidence(client: MlflowClient, experiment: str) -> Iterator[tuple[str, str]]:
    """What each of the newest diagnoses says, and the word of its reviewer."""
    condition = "tags.`agent.evidence` IS NOT NULL"

    def ask(token: str | None) -> Any:
        return client.search_runs([experiment], condition, max_results=PAGE, page_token=token)

    for run in islice(pages(ask), _MOST):
        yield run.data.tags["agent.evidence"], run.data.tags.get("agent.review", "")


def run_of_job(job: str, experiment: str, tracking_uri: str | None, directory: Path) -> str | None:
    """The run of the diagnosis that was begun for a job of the service, if there is one.

    Args:
        job: The job.
        experiment: Name of the experiment.
        tracking_uri: MLflow store; None for SQLite in ``directory``.
        directory: Folder of the store.
    """
    store = Store.locate(tracking_uri, directory)
    store.check()
    with store.first_use():
        client = connect(store)
        found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    runs = client.search_runs(
        [found.experiment_id],
        f"tags.`{JOB}` = '{job}'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return str(runs[0].info.run_id) if runs else None


def page_of(run_id: str, tracking_uri: str | None, directory: Path) -> str | None:
    """The page of a diagnosis as it was recorded; None where there is none.

    Args:
        run_id: Run of the diagnosis.
        tracking_uri: MLflow store; None for SQLite in ``directory``.
        directory: Folder of the store.
    """
    client = connect(Store.locate(tracking_uri, directory))
    page = f"{artifacts.FOLDER}/{artifacts.PAGE}"
    with tempfile.TemporaryDirectory(prefix="agent-page-") as folder:
        try:
            file = client.download_artifacts(run_id, page, folder)
            return Path(file).read_text("utf-8")
        except Exception:  # It was not made, or not recorded: the diagnosis has it all.
            return None


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
            raise store.failure(str(error.message)) from error
    if not params:
        raise UsageError(f"--good-run: the run {run_id} has logged no parameters")
    return params
