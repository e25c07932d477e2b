"""What a diagnosis tells while it works; the terminal view is one listener of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from probes.objective import Objective
from probes.symptom import Symptom

Part = Literal["start", "observe", "search", "confirm", "patch", "record"]


@dataclass(frozen=True, slots=True)
class PartStarted:
    """A part of the diagnosis begins."""

    part: Part


@dataclass(frozen=True, slots=True)
class ObjectiveChosen:
    """The metric by which trials are judged is known; ``inferred`` when we chose it."""

    objective: Objective
    inferred: bool


@dataclass(frozen=True, slots=True)
class SymptomsFound:
    """The untreated run has been read."""

    symptoms: tuple[Symptom, ...]


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A trial was sent to a host.

    Attributes:
        number: Number of the trial, 0 for the observation.
        label: The treatment in one line, ``control`` when there is none.
        seed: Trial seed.
        part: The part of the diagnosis that it belongs to.
    """

    number: int
    label: str
    seed: int
    part: Part


@dataclass(frozen=True, slots=True)
class TrialProgressed:
    """A running trial reported; ``value`` is the metric's latest value, if it has one yet."""

    number: int
    step: int
    value: float | None


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial is over.

    Attributes:
        number: Number of the trial.
        verdict: What came of it, in a few words: ``control``, ``recovers``, ``refuted``, ...
        value: Final metric, if there is one.
        better: Whether it is the best treatment so far.
        seconds: Wall time.
    """

    number: int
    verdict: str
    value: float | None
    better: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Notice:
    """One line that the user should read now."""

    text: str


Progress = (
    PartStarted
    | ObjectiveChosen
    | SymptomsFound
    | TrialStarted
    | TrialProgressed
    | TrialEnded
    | Notice
)
Listener = Callable[[Progress], None]
