"""The tracking store as triage uses it: pages of runs, histories of metrics, tags.

Besides the ledger the only module that talks to MLflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.errors import UsageError
from agent.ledger.client import PAGE, connect, experiment_id, pages, user_name
from agent.store import Store
from agent.triage.runs import Run


class Tracking:
    """A tracking store.

    Args:
        store: Which one.

    Raises:
        InfrastructureError: It cannot be reached.
    """

    def __init__(self, store: Store) -> None:
        store.check()
        self.store = store
        with store.first_use(), self._translated():
            self._client: Any = connect(store)
            self._client.search_experiments(max_results=1)

    def experiments(self, names: Sequence[str], recorded_in: str) -> dict[str, str]:
        """Names of the experiments to look at, by their ids.

        Args:
            names: Those that were asked for; empty: all that are active.
            recorded_in: The experiment of the diagnoses, which is left out.

        Raises:
            UsageError: One does not exist.
        """
        with self._translated():
            found = {}
            for name in names:
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise UsageError(f"there is no experiment {name!r} in {self.store.shown}")
                found[str(experiment.experiment_id)] = name
            if names:
                return found
            every = pages(lambda token: self._client.search_experiments(page_token=token))
            return {str(e.experiment_id): e.name for e in every if e.name != recorded_in}

    def runs(
        self, experiment: str, condition: str, order: str = "end_time ASC", most: int | None = None
    ) -> Iterator[Run]:
        """The runs of an experiment that meet a condition, page by page.

        Args:
            experiment: Its id.
            condition: In MLflow's language.
            order: Attribute and direction.
            most: Runs to give at most.

        Raises:
            UsageError: The condition is not in MLflow's language.
        """
        size = min(PAGE, most) if most else PAGE
        order_by = [f"attributes.{order}"]

        def ask(token: str | None) -> Any:
            with self._translated():
                return self._client.search_runs(
                    [experiment], condition, max_results=size, order_by=order_by, page_token=token
                )

        for number, run in enumerate(pages(ask)):
            if most is not None and number >= most:
                return
            yield Run.read(run)

    def run(self, run_id: str) -> Run:
        """A run as it is now."""
        with self._translated():
            return Run.read(self._client.get_run(run_id))

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """Steps and values of a metric of a run, in the order of the steps."""
        with self._translated():
            points = self._client.get_metric_history(run_id, metric)
        return [(p.step, p.value) for p in sorted(points, key=lambda p: (p.step, p.timestamp))]

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run, all of them at once."""
        from mlflow.entities import RunTag

        with self._translated():
            self._client.log_batch(run_id, tags=[RunTag(*pair) for pair in tags.items()])

    def terminate(self, run_id: str, status: str, at: float | None = None) -> None:
        """End a run, at a Unix time in seconds or now."""
        with self._translated():
            ended = round(1000 * at) if at else None
            self._client.set_terminated(run_id, status, end_time=ended)

    def create(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """Make a run in an experiment of that name; gives its id."""
        with self._translated():
            place = experiment_id(self._client, experiment, self.store)
            tags = {**tags, "mlflow.user": user_name()}
            return str(self._client.create_run(place, tags=tags, run_name=name).info.run_id)

    def about(self, subject: str, experiment: str, tag: str) -> list[Run]:
        """The runs of the recording experiment that are about a run."""
        with self._translated():
            found = self._client.get_experiment_by_name(experiment)
        if found is None:
            return []
        condition = f"tags.`{tag}` = '{subject}'"
        return list(self.runs(found.experiment_id, condition, "start_time ASC"))

    def experiment_tag(self, experiment: str, name: str) -> str:
        """A tag of an experiment; empty where it has none of that name."""
        with self._translated():
            return str(self._client.get_experiment(experiment).tags.get(name, ""))

    def tag_experiment(self, experiment: str, name: str, value: str) -> None:
        """Set a tag of an experiment."""
        with self._translated():
            self._client.set_experiment_tag(experiment, name, value)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of MLflow as ours."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            text = str(error.message).splitlines()[0]
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise UsageError(f"MLflow does not understand: {text}") from error
            raise self.store.failure(text) from error


def open_tracking(tracking_uri: str | None, directory: Path) -> Tracking:
    """The store of a tracking URI, or the one of the directory when there is no URI."""
    return Tracking(Store.locate(tracking_uri, directory))
