"""What the operator of the service decides, as its processes tell it to each other."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Bounds(BaseModel):
    """What the operator lets clients ask for.

    Attributes:
        root: Folder below which scripts may be run.
        cpus: Cores of one diagnosis.
        gpus: GPUs of one diagnosis.
        memory: Bytes of one trial, which is also what it has where it asks for nothing.
        budget: What trials may cost, in untreated runs.
        seconds: Time budget of a diagnosis, and time of one trial.
        tracking_uri: MLflow store; None for the local one.
        storage: Database of the searches; None for files.
        experiment: MLflow experiment.
    """

    model_config = ConfigDict(frozen=True)

    root: Path
    cpus: int = 1
    gpus: float = 0.0
    memory: int | None = None
    budget: float = 100.0
    seconds: float = 3600.0
    tracking_uri: str | None = None
    storage: str | None = None
    experiment: str = "agent"


class Settings(BaseModel):
    """What the server tells a worker, on stdin, where no other process can read it.

    Attributes:
        store: The database of the queue.
        address: Ray.
        bounds: What a job may use; paths and stores.
        triage: Options of `agent triage`.
        environment: Names of variables that scripts may see.
    """

    store: str
    address: str
    bounds: Bounds
    triage: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
