"""What is run: a script, its arguments, its limits; and what came out of one run of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from agent.candidate import write_treatment
from agent.trace_file import read_trace, write_trace
from agent.trace_stream import STREAM, read_stream
from probes.facts import Ending, Status
from probes.objective import Objective
from probes.trace import Trace
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


@dataclass(frozen=True, slots=True)
class _Summary:
    """What is known of a run without its trace."""

    steps: int
    ending: Ending | None
    applied: frozenset[str]

    @classmethod
    def of(cls, trace: Trace) -> _Summary:
        ending = trace.ending and replace(trace.ending, output_tail="")
        return cls(trace.steps, ending, frozenset(event["remedy"] for event in trace.applied))


class _Held:
    """The trace of an outcome: in memory, or on disk and read again for whoever asks for it."""

    def __get__(self, outcome: Outcome | None, owner: type[Outcome]) -> Trace:
        if outcome is None:
            raise AttributeError("trace")  # For dataclasses: it has no default.
        return outcome._held or outcome._read_again()

    def __set__(self, outcome: Outcome, trace: Trace) -> None:
        outcome._held, outcome._summary = trace, _Summary.of(trace)


@dataclass
class Outcome:
    """What one trial gave.

    Attributes:
        spec: The trial.
        trace: Everything that was recorded.
        started: Unix time at which the trial was started.
        seconds: Wall time of the whole trial, process start included.
        recalled: MLflow run of the earlier diagnosis that it was taken from; else nothing.
        place: Folder in which the trace was written to the disk while it came.
    """

    spec: TrialSpec
    trace: _Held = _Held()
    started: float = 0.0
    seconds: float = 0.0
    recalled: str = ""

    place: Path | None = field(default=None, repr=False, compare=False)
    _held: Trace | None = field(init=False, repr=False, compare=False)
    _summary: _Summary = field(init=False, repr=False, compare=False)
    _last: Callable[[], Trace | None] = field(init=False, repr=False, compare=False)
    _values: dict[Objective, float] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def put_away(self, folder: Path) -> None:
        """Keep the trace on disk instead of in memory, unless the disk does not take it.

        Args:
            folder: Of this outcome alone; made here where the trace is not on the disk yet.
        """
        if self._held is None:
            return
        if self.place is None:
            try:
                folder.mkdir(parents=True)
                write_trace(self._held, folder)
            except OSError:
                return
            self.place = folder
        self._last = weakref.ref(self._held)  # Somebody on another thread may be at it.
        self._held = None

    @property
    def steps(self) -> int:
        """Optimizer steps done."""
        return self._summary.steps

    @property
    def ending(self) -> Ending | None:
        """How the run ended; None when its process vanished without a word."""
        return self._summary.ending

    @property
    def applied(self) -> frozenset[str]:
        """Codes of the remedies that took effect."""
        return self._summary.applied

    @property
    def status(self) -> Status:
        """How the run ended; ``killed`` when its process vanished without a word."""
        return self.ending.status if self.ending else "killed"

    @property
    def planned(self) -> bool:
        """Whether the run came to its end."""
        return self.ending is not None and self.ending.planned

    def value(self, objective: Objective) -> float:
        """The metric at the end of the run; the worst value when the run broke off."""
        if not self.planned:
            return objective.worst
        if objective not in self._values:
            self._values[objective] = objective.final(self.trace)
        return self._values[objective]

    def _read_again(self) -> Trace:
        trace = self._last()
        if trace is None:
            assert self.place is not None
            streamed = (self.place / STREAM).exists()
            trace = read_stream(self.place) if streamed else read_trace(self.place)
            self._last = weakref.ref(trace)
        return trace
