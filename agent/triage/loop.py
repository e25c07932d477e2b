"""Sweeps at their times, and says what came of each."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType

import click
from rich import box
from rich.table import Table
from rich.text import Text

from agent.errors import InfrastructureError
from agent.report import ReportConsole
from agent.text import plain
from agent.triage.case_work import Desk
from agent.triage.findings import Finding
from agent.triage.notify import Notifier
from agent.triage.sweep import Plan, Report, preview, sweep

_HEALTHY, _SICK = 0, 1
_LATE = 5.0  # seconds


@dataclass(frozen=True)
class Office:
    """All that the sweeps of one `agent triage` have in common.

    Attributes:
        desk: Where the work is done.
        plan: What to look at.
        notifier: Is told of each finding.
        log: File that gets one line for each sweep.
        quiet: Whether only the table is shown.
    """

    desk: Desk
    plan: Plan
    notifier: Notifier | None
    log: Path
    quiet: bool = False

    def show_plan(self) -> int:
        """What a sweep would do, as a table; gives the exit code."""
        rows = list(preview(self.plan, self.desk))
        cells = [(place, c.run.name, c.kind, c.reason, told) for place, c, told in rows]
        _show(("experiment", "run", "kind", "why", "would be done"), cells)
        return _SICK if rows else _HEALTHY

    def sweep(self) -> int:
        """Sweep once; gives the exit code.

        Raises:
            InfrastructureError: There was work, and nothing of it could be done.
        """
        report = sweep(self.plan, self.desk, self._tell)
        self._write_log(report)
        cells = [
            (f.case.run.name, f.case.kind, f.verdict.upper(), f.summary, f.diagnosis)
            for f in report.findings
        ]
        if cells:
            _show(("run", "kind", "verdict", "summary", "diagnosis"), cells)
        for problem in report.problems:
            click.echo(f"agent: {plain(problem)}", err=True)
        click.echo(report.line)
        if report.problems and not report.findings:
            raise InfrastructureError("no diagnosis could be made: see above")
        return _SICK if report.cases else _HEALTHY

    def sweep_at(self, times: Iterator[datetime]) -> None:
        """Sweep at each of these times; one that has passed meanwhile is left out."""
        for at in times:
            wait = (at - datetime.now(at.tzinfo)).total_seconds()
            if wait < -_LATE:
                continue
            time.sleep(max(0.0, wait))
            try:
                self.sweep()
            except InfrastructureError as error:  # The store may be back at the next time.
                click.echo(f"agent: {plain(error)}", err=True)

    def _tell(self, finding: Finding) -> None:
        run = finding.case.run
        if not self.quiet:
            told = f"{run.name}: {finding.verdict}: {finding.summary}"
            click.echo(plain(told), err=True)
        if self.notifier is not None and (problem := self.notifier.send(finding)):
            click.echo(f"agent: {plain(problem)}", err=True)

    def _write_log(self, report: Report) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now().astimezone().isoformat(timespec="seconds")
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {plain(report.line)}\n")


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM, as of systemd or Kubernetes, end the work in order, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    ReportConsole(sys.stdout).print(table)
