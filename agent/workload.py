"""What is run: a script, its arguments, its limits; and what came out of one run of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from agent.candidate import write_treatment
from probes.objective import Objective
from probes.trace import Status, Trace
from remedies.treatment import CONTROL, Treatment


class Limits(BaseModel):
    """What one trial may use.

    Attributes:
        timeout: Wall time in seconds.
        memory: Resident memory in bytes, of the script and its children together; None: no limit.
        max_steps: Optimizer steps after which the run is stopped; None: as many as it makes.
        max_batches_per_epoch: Batches after which every pass over a torch ``DataLoader`` ends.
        cpus: Cores, which is also the number of threads that torch uses.
        gpus: GPUs, as Ray counts them.
    """

    model_config = ConfigDict(frozen=True)

    timeout: float = Field(default=600.0, gt=0)
    memory: int | None = Field(default=None, gt=0)
    max_steps: int | None = Field(default=None, gt=0)
    max_batches_per_epoch: int | None = Field(default=None, gt=0)
    cpus: int = Field(default=1, ge=1)
    gpus: float = Field(default=0, ge=0)


class Workload(BaseModel):
    """A script with its arguments and limits.

    Attributes:
        script: Absolute path of the script.
        args: Its arguments.
        directory: Working directory to run it in, absolute; a scratch copy of it is used.
        limits: What one trial may use.
    """

    model_config = ConfigDict(frozen=True)

    script: Path
    args: tuple[str, ...] = ()
    directory: Path
    limits: Limits = Limits()


TrialKey = tuple[str, int, int | None]
"""Treatment, seed and step limit of a trial."""


@dataclass(frozen=True)
class TrialSpec:
    """All that one trial is: sent to the host that runs it.

    Attributes:
        number: Number of the trial in the diagnosis, 0 for the untreated observation.
        treatment: What is changed; empty for a control.
        seed: Trial seed; 0 leaves the script's own seeding alone.
        max_steps: Optimizer steps after which it is stopped, where that is less than the limit.
    """

    number: int
    treatment: Treatment = CONTROL
    seed: int = 0
    max_steps: int | None = None

    @property
    def key(self) -> TrialKey:
        """What tells it apart from other trials, whatever their numbers."""
        return write_treatment(self.treatment), self.seed, self.max_steps


@dataclass
class Outcome:
    """What one trial gave.

    Attributes:
        spec: The trial.
        trace: Everything that was recorded.
        started: Unix time at which the trial was started.
        seconds: Wall time of the whole trial, process start included.
        recalled: MLflow run of the earlier diagnosis that it was taken from; else nothing.
    """

    spec: TrialSpec
    trace: Trace
    started: float = 0.0
    seconds: float = 0.0
    recalled: str = ""

    @property
    def status(self) -> Status:
        """How the run ended; ``killed`` when its process vanished without a word."""
        return self.trace.ending.status if self.trace.ending else "killed"

    def value(self, objective: Objective) -> float:
        """The metric at the end of the run; the worst value when the run broke off."""
        ending = self.trace.ending
        planned = ending is not None and ending.planned
        return objective.final(self.trace) if planned else objective.worst
