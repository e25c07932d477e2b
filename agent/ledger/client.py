"""MLflow's client, as all of us use it."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from agent.errors import InfrastructureError
from agent.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 500
"""Runs that a search gives at once."""
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; 120 by default
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 by default: minutes, when a server goes away
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def connect(store: Store) -> MlflowClient:
    """A client that keeps quiet, and gives up on a dead server within a minute."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    # Tells with a traceback what it raises, too, such as a full disk.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
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


def user_name() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry for this user, as in many containers
        return "unknown"


def pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """What a search of MLflow finds, page by page.

    Args:
        ask: Gives the page of a token; the first one for None.
    """
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return
