"""Trials on file: recorded once, and played again without training anything.

A replay file is a zip archive with a folder for each trial: ``spec.json`` says which one it was,
the other two files are its trace (see `agent.trace_file`). It grows by whole trials, so that a
recording that breaks off is a shorter recording.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from agent.candidate import read_treatment, write_treatment
from agent.errors import UsageError
from agent.launch import Report
from agent.trace_file import REST, TABLE, read_trace, write_trace
from agent.workload import Outcome, TrialSpec
from remedies.treatment import describe

_SPEC = "spec.json"


class NotRecordedError(UsageError):
    """A replay was asked for a trial that it does not have."""


class Recording:
    """A replay file that trials are added to.

    Args:
        path: The file; what it has already is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _readable(path):
            self._known = {_spec(fields).key for _, fields in _entries(path)}

    def add(self, outcome: Outcome) -> None:
        """Add a trial, unless the file has it or it was broken off."""
        key = outcome.spec.key
        if key in self._known or outcome.status in ("cancelled", "killed"):
            return
        self._known.add(key)
        name = f"{len(self._known):05d}"
        with tempfile.TemporaryDirectory(prefix="agent-replay-") as scratch:
            folder = Path(scratch)
            write_trace(outcome.trace, folder)
            (folder / _SPEC).write_text(json.dumps(_spec_fields(outcome)), encoding="utf-8")
            with zipfile.ZipFile(self._path, "a", zipfile.ZIP_DEFLATED) as archive:
                for file in (TABLE, REST, _SPEC):
                    archive.write(folder / file, f"{name}/{file}")


class Replay:
    """Stands in for the launcher: has the trials of a file, and can run none.

    Args:
        path: A replay file.

    Attributes:
        outcomes: The trials of the file.
        slots: Trials at a time.

    Raises:
        UsageError: It is not there, or no replay file.
    """

    slots = 1

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise UsageError(f"no such replay file: {path}; record= writes one")
        self.outcomes = list(read_outcomes(path))
        if not self.outcomes:
            raise UsageError(f"{path} has no trial")
        self._keys = {outcome.spec.key for outcome in self.outcomes}

    def has(self, spec: TrialSpec) -> bool:
        """Whether the file has this trial."""
        return spec.key in self._keys

    def first_seeds(self, seeds: int) -> list[int]:
        """Trial seeds that an episode can begin with, or all there are if none can be confirmed."""
        controls = {o.spec.seed for o in self.outcomes if not o.spec.treatment}
        whole = [s for s in controls if controls.issuperset(range(s, s + 1 + seeds))]
        return sorted(whole or controls)

    def submit(self, spec: TrialSpec) -> NoReturn:
        """Refuse to run what the file does not have."""
        told = describe(spec.treatment)
        raise NotRecordedError(f"the replay has no trial of {told} on seed {spec.seed}")

    def cancel(self, number: int) -> None:
        """Nothing runs that could be ended."""

    def poll(self, timeout: float = 0.0) -> list[Report]:
        """Nothing happens."""
        return []


def read_outcomes(path: Path) -> Iterator[Outcome]:
    """The trials of a replay file, in their order; none where there is no file.

    Raises:
        UsageError: It is no replay file.
    """
    with _readable(path):
        for folder, fields in _entries(path):
            with tempfile.TemporaryDirectory(prefix="agent-replay-") as scratch:
                for file in (TABLE, REST):
                    (Path(scratch) / file).write_bytes((folder / file).read_bytes())
                trace = read_trace(Path(scratch))
            yield Outcome(_spec(fields), trace, 0.0, float(str(fields["seconds"])))


def _entries(path: Path) -> Iterator[tuple[zipfile.Path, dict[str, object]]]:
    """The folders of a replay file, each with what its ``spec.json`` says."""
    if not path.exists():
        return
    with zipfile.ZipFile(path) as archive:
        for folder in sorted(zipfile.Path(archive).iterdir(), key=lambda each: each.name):
            yield folder, json.loads((folder / _SPEC).read_text(encoding="utf-8"))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, KeyError, FileNotFoundError, NotADirectoryError, ValueError) as e:
        raise UsageError(f"{path} is no replay file: {e}") from e


def _spec_fields(outcome: Outcome) -> dict[str, object]:
    spec = outcome.spec
    return {
        "treatment": write_treatment(spec.treatment),
        "seed": spec.seed,
        "max_steps": spec.max_steps,
        "seconds": outcome.seconds,
    }


def _spec(fields: dict[str, object]) -> TrialSpec:
    stop = fields["max_steps"]
    assert stop is None or isinstance(stop, int)
    return TrialSpec(0, read_treatment(str(fields["treatment"])), int(str(fields["seed"])), stop)
