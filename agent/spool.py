"""Delivers what could not be recorded while MLflow was away."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.diagnosis import Diagnosis, read_diagnosis
from agent.errors import AgentError, InfrastructureError, first_line
from agent.ledger import Ledger
from agent.ledger.records import spec_of
from agent.markdown import to_markdown
from agent.request import Request
from agent.store import Store
from agent.trace_file import read_trace
from agent.triage.tracking import open_tracking
from agent.workload import Outcome, Workload

_GOES_TO = "run-id"
"""File of a spool folder that is being delivered: the MLflow run that it goes to."""
_ABANDONED = 24 * 3600.0  # seconds


@dataclass(frozen=True)
class Delivery:
    """One diagnosis that was spooled.

    Attributes:
        folder: Where it lies.
        run_id: The MLflow run that it has gone to; empty where it could not be delivered.
        problem: Why it could not.
    """

    folder: Path
    run_id: str = ""
    problem: str = ""


def deliver(directory: Path, tracking_uri: str | None, experiment: str) -> Iterator[Delivery]:
    """Record what lies in the spool; what has arrived is taken out of it.

    Args:
        directory: The agent's home, which has the spool.
        tracking_uri: The store; None for the one in the directory.
        experiment: Where diagnoses go that MLflow knows nothing of.
    """
    uri = Store.locate(tracking_uri, directory).uri
    for folder in sorted(path for path in (directory / "spool").glob("*") if _is_over(path)):
        with _locked(folder) as ours:
            if not ours:
                continue  # Somebody else delivers it.
            try:
                run_id = _deliver(folder, uri, experiment)
            except (AgentError, OSError, ValueError) as error:
                yield Delivery(folder, problem=first_line(error))
                continue
            shutil.rmtree(folder)
            yield Delivery(folder, run_id)


def _is_over(folder: Path) -> bool:
    """Whether nobody writes to a folder of the spool any more."""
    if not folder.is_dir():
        return False
    ends = any((folder / name).exists() for name in ("diagnosis.json", "abort.json"))
    return ends or time.time() - folder.stat().st_mtime > _ABANDONED


def _deliver(folder: Path, uri: str, experiment: str) -> str:
    """Record one diagnosis; gives its run."""
    request = _request(folder, experiment)
    with tempfile.TemporaryDirectory(prefix="agent-sync-") as name:
        # What fails again is not to be spooled again beside the original.
        ledger = Ledger(uri, request.experiment, Path(name))
        ledger.check()
        ledger.open(request)
        try:
            run_id = ledger.entry.run_id
            (folder / _GOES_TO).write_text(run_id)
            known = {outcome.spec.number for outcome in ledger.known}
            diagnosis = _diagnosis(folder)
            tried = diagnosis.tried if diagnosis is not None else ()
            for file in sorted(folder.glob("trial-*/run.json")):
                with contextlib.suppress(ValueError, KeyError):  # Cut off in the middle.
                    outcome, part = _trial(file)
                    if outcome.spec.number not in known:
                        found = (t for t in tried if t.treatment == outcome.spec.treatment)
                        ledger.record(outcome, part, next(found, None))
            _finish(ledger, folder, diagnosis)
        finally:
            ledger.close()
    if open_tracking(uri, folder).run(run_id).status == "RUNNING":
        raise InfrastructureError("MLflow has not taken it to the end")
    return run_id


def _request(folder: Path, experiment: str) -> Request:
    """What was asked for, so that the record goes on where it was or is made anew."""
    marker, file = folder / _GOES_TO, folder / "request.json"
    begun = marker.read_text() if marker.exists() else ""
    if file.exists():
        request = Request.model_validate_json(file.read_text(encoding="utf-8"))
        return request.model_copy(update={"resume": begun or request.resume})
    # MLflow knew of it when it went away: the folder has the name of the run.
    workload = Workload(script=Path("/unknown"), directory=Path("/"))
    return Request(workload=workload, experiment=experiment, resume=folder.name)


def _diagnosis(folder: Path) -> Diagnosis | None:
    file = folder / "diagnosis.json"
    return read_diagnosis(file.read_text("utf-8")) if file.exists() else None


def _finish(ledger: Ledger, folder: Path, diagnosis: Diagnosis | None) -> None:
    if diagnosis is not None:
        ledger.finish(diagnosis, to_markdown(diagnosis))
        return
    with contextlib.suppress(FileNotFoundError):
        aborted = json.loads((folder / "abort.json").read_text(encoding="utf-8"))
        ledger.abort(str(aborted["reason"]), bool(aborted["killed"]))
        return
    ledger.abort("the diagnosis ended without a word", killed=True)


def _trial(file: Path) -> tuple[Outcome, str]:
    """A trial that was spooled, and its part of the diagnosis."""
    about = json.loads(file.read_text(encoding="utf-8"))
    tags, trace = about["tags"], read_trace(file.parent)
    return Outcome(spec_of(tags), trace, about["started"], about["seconds"]), tags["agent.part"]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Alone with a folder of the spool; says False where somebody else is."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
