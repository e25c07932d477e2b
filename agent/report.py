"""The diagnosis for a person in a terminal: with colour, as plain text, and as a picture of it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from rich import box
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agent.diagnosis import Diagnosis, Fix
from agent.text import plain
from agent.wording import (
    advice,
    change,
    command,
    costs,
    evidence,
    good_configuration,
    headline,
    location,
    next_steps,
    reason,
    record,
    seed_rows,
    setting,
    statistics,
    to_paste,
)
from probes.symptom import Symptom
from remedies.treatment import describe

_NARROW = 100
_LONGEST_PATCH = 40
_PLACES, _NAMES = 3, 10
_WIDEST = 120
_STYLES = {
    "healthy": "bold green",
    "fixed": "bold green",
    "unresolved": "bold yellow",
    "failed": "bold red",
    "confirmed": "green",
}


class ReportConsole(Console):
    """A console that takes all text as it is, and outlives the reader of its pipe."""

    def __init__(
        self, file: TextIO, width: int | None = None, record: bool = False, styled: bool = True
    ) -> None:
        super().__init__(
            file=file,
            width=width,
            record=record,
            markup=False,
            emoji=False,
            highlight=False,
            color_system="auto" if styled else None,
        )

    def on_broken_pipe(self) -> None:
        """Say nothing more: the exit code still counts."""
        self.quiet = True
        self.file = io.StringIO()


class Report:
    """The whole answer as one renderable, fitted to the width at hand.

    Args:
        diagnosis: What to tell.
        observations: Whether to tell of symptoms that are too mild to matter, too.
    """

    def __init__(self, diagnosis: Diagnosis, observations: bool = False) -> None:
        self._diagnosis = diagnosis
        self._observations = observations

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        narrow = options.max_width < _NARROW
        inner = options.update(max_width=min(options.max_width, _WIDEST))
        yield from console.render(
            Group(*_parts(self._diagnosis, narrow, self._observations)), inner
        )


def to_text(diagnosis: Diagnosis, width: int = 100, observations: bool = False) -> str:
    """The whole answer as plain text."""
    console = ReportConsole(io.StringIO(), width=width, styled=False)
    with console.capture() as capture:
        console.print(Report(diagnosis, observations))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def save_picture(diagnosis: Diagnosis, path: Path, width: int = 100) -> None:
    """Write the answer as a picture of a terminal that shows it (SVG)."""
    console = ReportConsole(io.StringIO(), width=width, record=True)
    console.print(Text(f"$ agent diagnose {command(diagnosis.workload)}\n"))
    console.print(Report(diagnosis))
    # Without the web font: a picture in a document must not fetch anything.
    template = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.S)
    console.save_svg(str(path), title="agent", code_format=template)


def _parts(diagnosis: Diagnosis, narrow: bool, observations: bool) -> Iterator[RenderableType]:
    verdict = diagnosis.verdict
    yield Text.assemble((verdict.upper(), _STYLES[verdict]), "  ", (headline(diagnosis), "bold"))
    yield Text(setting(diagnosis.workload), style="dim")
    if verdict == "healthy":
        yield from _tried(diagnosis, narrow)
        yield from _healthy(diagnosis, observations)
        return
    alarms = [symptom for symptom in diagnosis.symptoms if symptom.alarming]
    mild = [symptom for symptom in diagnosis.symptoms if not symptom.alarming]
    yield from _section("What is wrong", _symptoms(alarms))
    yield from _section("Seen, too mild to matter", _symptoms(mild) if observations else ())
    yield from _section("Which setting it is", map(Text, good_configuration(diagnosis)))
    yield from _tried(diagnosis, narrow)
    if diagnosis.fix is not None:
        metric = diagnosis.workload.metric
        yield from _section("What fixed it", _fix(diagnosis.fix, metric.name if metric else ""))
        yield from _section("What to change in the script", _to_change(diagnosis.fix))
    yield from _section("What to try next", map(Text, next_steps(diagnosis)))
    yield from _section("What it took", [Text(costs(diagnosis))])
    yield from _section("Recorded in MLflow", map(Text, record(diagnosis)))


def _healthy(diagnosis: Diagnosis, observations: bool) -> Iterator[RenderableType]:
    mild = [f"{s.code} {s.name} at {location(s)} ({s.severity:.2f})" for s in diagnosis.symptoms]
    yield from map(Text, good_configuration(diagnosis)[:1])
    if mild and observations:
        yield Text(f"Seen, too mild to matter: {'; '.join(mild)}")
    if diagnosis.mlflow is not None:
        yield Text(f"Recorded in MLflow: {' '.join(record(diagnosis))}", style="dim")


def _section(title: str, body: Iterable[RenderableType]) -> Iterator[RenderableType]:
    rows = list(body)
    if rows:
        yield Text()
        yield Text(title, style="bold")
        yield Padding(Group(*rows), (0, 0, 0, 2))


def _symptoms(symptoms: Iterable[Symptom]) -> Iterator[RenderableType]:
    """Each fault at the places where it is worst, and then only the names of the others."""
    by_code: dict[str, list[Symptom]] = {}
    for symptom in symptoms:
        by_code.setdefault(symptom.code, []).append(symptom)
    for code, found in by_code.items():
        yield from map(_symptom, found[:_PLACES])
        if others := [location(symptom) for symptom in found[_PLACES:]]:
            tail = f", and {len(others) - _NAMES} more" if len(others) > _NAMES else ""
            yield Text(f"{code} also at {', '.join(others[:_NAMES])}{tail}")


def _symptom(symptom: Symptom) -> RenderableType:
    style = "bold red" if symptom.alarming else "yellow"
    title = Text.assemble((f"{symptom.code} {symptom.name}", style), f" at {location(symptom)}")
    title.append(f", severity {symptom.severity:.2f}, from step {symptom.step}")
    details = [Text(plain(symptom.message))]
    if symptom.evidence:
        details.append(Text(evidence(symptom), style="dim"))
    return Group(title, Padding(Group(*details), (0, 0, 0, 2)))


def _tried(diagnosis: Diagnosis, narrow: bool) -> Iterator[RenderableType]:
    if diagnosis.tried:
        table = _tried_list(diagnosis) if narrow else [_tried_table(diagnosis)]
        yield from _section("What was tried (control → treated, by seed)", table)


def _tried_table(diagnosis: Diagnosis) -> RenderableType:
    metric = diagnosis.workload.metric
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("status", no_wrap=True)
    table.add_column("treatment", ratio=4, overflow="fold")
    table.add_column(plain(metric.name) if metric else "metric", ratio=3, overflow="fold")
    table.add_column("why", ratio=4, overflow="fold")
    for tried in diagnosis.tried:
        style = _STYLES.get(tried.status, "dim")
        cells = (tried.status, plain(describe(tried.treatment)), change(tried), reason(tried))
        table.add_row(*map(Text, cells), style=style)
    return table


def _tried_list(diagnosis: Diagnosis) -> list[RenderableType]:
    rows: list[RenderableType] = []
    for tried in diagnosis.tried:
        style = _STYLES.get(tried.status, "dim")
        rows.append(Text(f"{tried.status}: {plain(describe(tried.treatment))}", style=style))
        details = [Text(line, style=style) for line in (change(tried), reason(tried)) if line]
        rows.append(Padding(Group(*details), (0, 0, 0, 2)))
    return rows


def _fix(fix: Fix, metric: str) -> Iterator[RenderableType]:
    yield Text(plain(describe(fix.treatment)), style="green")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("seed")
    table.add_column(Text(f"{plain(metric)} before".strip()), justify="right")
    table.add_column("after", justify="right", style="green")
    for row in seed_rows(fix.metric_after, fix.metric_before):
        table.add_row(*map(Text, row))
    yield table
    yield Text(statistics(fix))


def _to_change(fix: Fix) -> Iterator[RenderableType]:
    yield from map(Text, advice(fix))
    for where, code in to_paste(fix):
        yield Text(where)
        yield Padding(Text(_printable(code), style="green"), (0, 0, 0, 2))
    lines = (fix.patch or "").splitlines()
    if len(lines) > _LONGEST_PATCH:
        yield Text(f"as a patch of {len(lines)} lines: --patch FILE writes it")
        return
    for line in lines:
        yield Text(_printable(line), style={"+": "green", "-": "red"}.get(line[:1], "dim"))


def _printable(text: str) -> str:
    """Lines of source without what a terminal would take for a command."""
    lines = text.expandtabs(4).split("\n")
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines)
