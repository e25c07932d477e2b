"""Records one diagnosis, on a thread of its own while trials run.

When MLflow fails in the middle, what is left to record is written to files instead, and
`Ledger.close` says where.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from agent.artifacts import prepare
from agent.diagnosis import Diagnosis, LedgerEntry, Tried
from agent.errors import AgentError, first_line
from agent.experience import NONE, Experience
from agent.ledger.book import Book
from agent.ledger.records import (
    PATCHED,
    AbortRecord,
    FinishRecord,
    Record,
    StartRecord,
    TrialRecord,
)
from agent.request import Request
from agent.store import Store
from agent.workload import Outcome, TrialSpec


class Ledger:
    """Records one diagnosis.

    Args:
        tracking_uri: MLflow store; None for SQLite in ``directory``.
        experiment: Name of the experiment; made when there is none.
        directory: Folder of the store, and of ``spool`` for what could not be recorded.
    """

    def __init__(self, tracking_uri: str | None, experiment: str, directory: Path) -> None:
        self._store = Store.locate(tracking_uri, directory)
        self._experiment = experiment
        self._spool = directory / "spool"
        self._records: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._entry: Future[LedgerEntry] = Future()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._spooled: Path | None = None
        self._lost: OSError | None = None  # why not even files took something
        self._known: list[Outcome] = []
        self._book: Book | None = None
        self._experience = NONE
        self._finished = False
        self._told = False  # whether somebody knows that it failed, or cannot care

    def check(self) -> None:
        """Make sure, within seconds, that the store can be used.

        Raises:
            InfrastructureError: It cannot.
        """
        self._store.check()

    def open(self, request: Request, digest: str = "", identity: str = "") -> None:
        """Begin the record without waiting for it.

        Args:
            request: What was asked for; where it resumes a diagnosis, its record goes on.
            digest: Of the user's files; trials of other files are not taken for known.
            identity: Of the trials: those of earlier diagnoses that have the same can be recalled.
        """
        start = StartRecord(request, time.time(), digest, identity)
        self._thread = threading.Thread(
            target=self._work, args=(start,), name="ledger", daemon=True
        )
        self._thread.start()

    @property
    def known(self) -> list[Outcome]:
        """Trials that the resumed diagnosis had finished; waits until they are read."""
        return self._known if self.entry else []

    def recall(self, spec: TrialSpec, patched: str = "") -> Outcome | None:
        """The same trial of an earlier diagnosis, where the store has one and can be read.

        Args:
            spec: The trial.
            patched: Identity of trials of the patched script, if it is one of those.
        """
        try:
            self._entry.result()
            return self._book.recall(spec, patched) if self._book is not None else None
        except Exception:
            return None  # Then it runs; what is wrong with the store, `close` tells.

    @property
    def entry(self) -> LedgerEntry:
        """Where the diagnosis is recorded; waits until that is known.

        Raises:
            InfrastructureError: MLflow fails.
            UsageError: The run to resume does not exist.
        """
        try:
            return self._entry.result()
        except AgentError:
            self._told = True
            raise

    @property
    def settled(self) -> LedgerEntry | None:
        """The entry where there is one by now; None else, without waiting."""
        done = self._entry.done() and self._entry.exception() is None
        return self._entry.result() if done else None

    @property
    def experience(self) -> Experience:
        """What earlier diagnoses say, where they are to count; waits until they are read."""
        return self._experience if self.entry else NONE

    def start(self, request: Request) -> LedgerEntry:
        """Begin the record, and wait until MLflow has it: `open`, then `entry`."""
        self.open(request)
        return self.entry

    def record(self, outcome: Outcome, part: str, tried: Tried | None = None) -> None:
        """Record a trial that has ended; what came of its treatment may be told at the end."""
        self._records.put(TrialRecord(outcome, part, tried))

    def record_patched(self, outcome: Outcome, identity: str) -> None:
        """Record a trial of a patched script, which is no control of those of the script.

        Args:
            outcome: Its outcome.
            identity: Of the trials of the patched script.
        """
        self._records.put(TrialRecord(outcome, PATCHED, patched=identity))

    def finish(self, diagnosis: Diagnosis, markdown: str) -> None:
        """Record the result, which nothing that comes after it takes back."""
        self._finished = True
        self._records.put(FinishRecord(diagnosis, markdown))

    def abort(self, reason: str, killed: bool | None = None) -> None:
        """Record that the diagnosis dies; `close` is silent from now on.

        Args:
            reason: Why, in one line.
            killed: Whether it was stopped from outside; None: if the reason is an interrupt.
        """
        self._told = True
        if self._finished:
            return
        by_hand = reason.startswith(("KeyboardInterrupt", "SystemExit"))
        self._records.put(AbortRecord(reason, by_hand if killed is None else killed))

    def close(self) -> None:
        """Wait until everything is recorded.

        Raises:
            InfrastructureError: Something could not be recorded; it says where that is instead.
        """
        if self._thread is None:
            return
        self._records.put(None)
        self._thread.join()
        self._thread = None
        if self._error is not None and not self._told:
            raise self._failure(self._error) from self._error

    def _failure(self, error: Exception) -> AgentError:
        if isinstance(error, AgentError):
            return error
        instead = f"; what it did not take is in {self._spooled}" if self._spooled else ""
        if self._lost is not None:
            instead = f"; {self._spool} failed, too ({self._lost}): the record is incomplete"
        return self._store.failure(f"{first_line(error)}{instead}")

    def _work(self, start: StartRecord) -> None:
        """The thread: write one record after the other, to MLflow or else to files."""
        book: Book | None = None
        try:
            book = Book(self._store, self._experiment, start)
            self._known, self._experience, self._book = book.known, book.experience, book
            self._entry.set_result(book.entry)
            prepare()
        except Exception as error:
            self._error = error
            self._entry.set_exception(self._failure(error))
            self._write_to_files(start)
        while (record := self._records.get()) is not None:
            if book is None or self._error is not None:
                self._write_to_files(record)
                continue
            try:
                book.write(record)
            except Exception as error:
                self._error = error
                self._write_to_files(record)

    def _write_to_files(self, record: Record) -> None:
        failed = self._entry.exception() is not None
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}" if failed else self.entry.run_id
        folder = self._spooled or self._spool / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # Arguments may be secret.
            record.spool(folder)
            self._spooled = folder
        except OSError as error:
            self._lost = error
