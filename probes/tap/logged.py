"""Takes the metrics that a script logs to a tracker, and keeps the user's trackers untouched.

Nothing is imported that the script does not import: the hooks wait for MLflow, TensorBoard and
Weights & Biases to be loaded. MLflow gets a file store in the trial's folder, whatever address the
script sets: its default store would spend seconds on database migrations in each trial.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import wrapt

Report = Callable[[str, Any, str], None]
Arguments = tuple[Any, ...]

_OF_MLFLOW_RUN = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_REGISTRY_URI")


def install(report: Report, folder: Path) -> None:
    """Capture from now on, in this process and in the environment of those that it starts.

    Args:
        report: Takes name, value and source (``mlflow``, ``tensorboard``, ``wandb``).
        folder: Folder that takes what the script would have stored.
    """
    _set_environment(folder)
    _Mlflow(report, (folder / "mlruns").as_uri()).install()
    for module in ("torch.utils.tensorboard.writer", "tensorboardX.writer"):
        wrapt.register_post_import_hook(_TensorBoard(report, folder).patch, module)
    wrapt.register_post_import_hook(_Wandb(report).patch, "wandb")


def _set_environment(folder: Path) -> None:
    for name in _OF_MLFLOW_RUN:
        os.environ.pop(name, None)
    os.environ.update(
        DEBUGGING_AGENT_TRIAL="1",  # agent/recorder keeps out of trials
        MLFLOW_TRACKING_URI=(folder / "mlruns").as_uri(),
        MLFLOW_ALLOW_FILE_STORE="true",
        MLFLOW_DISABLE_TELEMETRY="true",
        WANDB_MODE="disabled",
        WANDB_DIR=str(folder),
    )


class _Mlflow:
    """Leads every store of MLflow to a scratch one and reads what is logged to it."""

    def __init__(self, report: Report, uri: str) -> None:
        self._report = report
        self._uri = uri

    def install(self) -> None:
        """Wait for the modules of MLflow that give out stores."""
        for kind in ("_tracking_service", "_model_registry"):
            package = f"mlflow.tracking.{kind}"
            wrapt.register_post_import_hook(self._patch_registry, f"{package}.registry")
            wrapt.register_post_import_hook(self._patch_setter, f"{package}.utils")

    def _patch_registry(self, module: ModuleType) -> None:
        for registry in ("TrackingStoreRegistry", "ModelRegistryStoreRegistry"):
            if hasattr(module, registry):
                wrapt.wrap_function_wrapper(module, f"{registry}.get_store", self._get_store)

    def _patch_setter(self, module: ModuleType) -> None:
        for name in ("set_tracking_uri", "set_registry_uri"):
            if hasattr(module, name):
                setattr(module, name, _ignore(getattr(module, name)))

    def _get_store(
        self, wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Mapping[str, Any]
    ) -> Any:
        store = wrapped(self._uri)
        if "log_batch" not in vars(store) and hasattr(store, "log_batch"):
            store.log_metric = self._reading(store.log_metric, "metric")
            for name in ("log_batch", "log_batch_async"):
                setattr(store, name, self._reading(getattr(store, name), "metrics"))
        return store

    def _reading(self, log: Callable[..., Any], name: str) -> Callable[..., Any]:
        def read_and_log(*args: Any, **kwargs: Any) -> Any:
            given = _argument(args, kwargs, 1, name)
            for metric in [given] if name == "metric" else given:
                if not metric.key.startswith("system/"):
                    self._report(metric.key, metric.value, "mlflow")
            return log(*args, **kwargs)

        return read_and_log


class _TensorBoard:
    """Reads scalars, and keeps event files in scratch."""

    def __init__(self, report: Report, folder: Path) -> None:
        self._report = report
        self._folder = folder

    def patch(self, module: ModuleType) -> None:
        """Patch the module that has the ``SummaryWriter``."""
        wrapt.wrap_function_wrapper(module, "SummaryWriter.__init__", self._init)
        wrapt.wrap_function_wrapper(module, "SummaryWriter.add_scalar", self._add_scalar)
        wrapt.wrap_function_wrapper(module, "SummaryWriter.add_scalars", self._add_scalars)

    def _init(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        folder = args[0] if args else kwargs.pop("log_dir", kwargs.pop("logdir", None))
        if folder is not None and os.path.isabs(folder):
            folder = str(self._folder / "tensorboard" / str(folder).lstrip(os.sep))
        return wrapped(folder, *args[1:], **kwargs)

    def _add_scalar(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        tag = _argument(args, kwargs, 0, "tag")
        self._report(tag, _argument(args, kwargs, 1, "scalar_value"), "tensorboard")
        return wrapped(*args, **kwargs)

    def _add_scalars(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        tag = _argument(args, kwargs, 0, "main_tag")
        for name, value in _argument(args, kwargs, 1, "tag_scalar_dict").items():
            self._report(f"{tag}/{name}", value, "tensorboard")
        return wrapped(*args, **kwargs)


class _Wandb:
    """Reads what is logged to a run that goes nowhere."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def patch(self, module: Any) -> None:
        """Patch the package."""
        initialise = module.init

        def init(*args: Any, **kwargs: Any) -> Any:
            kwargs["mode"] = "disabled"
            run = initialise(*args, **kwargs)
            # The package's own function is replaced by the method of the run at each start.
            module.log = self._reading(run.log)
            try:
                run.log = module.log
            except AttributeError:
                pass  # Read-only; most scripts call the package's.
            return run

        module.init = init

    def _reading(self, log: Callable[..., Any]) -> Callable[..., Any]:
        def read_and_log(data: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
            for name, value in data.items():
                self._report(name, value, "wandb")
            return log(data, *args, **kwargs)

        return read_and_log


def _argument(args: Arguments, kwargs: Mapping[str, Any], place: int, name: str) -> Any:
    return args[place] if len(args) > place else kwargs[name]


def _ignore(setter: Callable[..., Any]) -> Callable[..., None]:
    @wrapt.decorator
    def ignore(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
        return None

    return ignore(setter)
