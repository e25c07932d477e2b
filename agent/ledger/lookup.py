"""Reads what the ledger has: trials, the experience of diagnoses, the parameters of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.candidate import read_treatment
from agent.errors import InfrastructureError, UsageError
from agent.experience import NONE, Experience, gather
from agent.ledger.client import connect
from agent.store import Store
from agent.trace_file import REST, TABLE, read_trace
from agent.workload import Outcome, TrialSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 500  # runs that a search gives at once
_MOST_PAGES = 10  # of diagnoses that are learned from, the newest first


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
    return gather(evidence(client, found.experiment_id)) if found else NONE


def evidence(client: MlflowClient, experiment: str) -> Iterator[tuple[str, str]]:
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
