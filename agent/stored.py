"""What can be done with a stored diagnosis: `agent report`, `agent review`, `agent apply`."""

from __future__ import annotations

import sys
import tempfile
import time
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent import options
from agent.answer import give_answer, write_file
from agent.errors import UsageError
from agent.preflight import check_target
from agent.text import plain

if TYPE_CHECKING:
    from agent.diagnosis import Diagnosis
    from agent.ledger.archive import Archive, Entry


@click.command("report")
@click.argument("run_id")
@click.option("--html", "html_file", metavar="FILE", help="Write the page with the figures.")
@click.option("--open", "show", is_flag=True, help="Show the page in a browser.")
@click.option("--observations", is_flag=True, help="Show what is too mild to matter, too.")
@options.tracking_uri
def report_command(
    run_id: str, html_file: str | None, show: bool, observations: bool, tracking_uri: str | None
) -> None:
    """Show the diagnosis that MLflow has under RUN_ID."""
    check_target(html_file)
    archive = _archive(tracking_uri)
    diagnosis = archive.diagnosis(run_id)
    if not html_file and not show:
        give_answer(diagnosis, None, None, observations)
        return
    from agent.page import make_page

    page = make_page(archive.evidence(diagnosis, run_id))
    if html_file is None:
        folder = Path(tempfile.mkdtemp(prefix="agent-report-"))
        html_file = str(folder / "report.html")
    write_file(html_file, page.html)
    click.echo(html_file)
    if show and not webbrowser.open(Path(html_file).resolve().as_uri()):
        click.echo("agent: no browser can be opened here: open the file by hand", err=True)


@click.command("review")
@click.argument("run_id", required=False)
@click.option("--accept/--reject", "accepted", default=None, help="Your verdict on the diagnosis.")
@click.option("--note", default="", help="Why.")
@click.option("--experiment", metavar="NAME", default="agent", help="MLflow experiment to list.")
@options.tracking_uri
def review_command(
    run_id: str | None,
    accepted: bool | None,
    note: str,
    experiment: str,
    tracking_uri: str | None,
) -> None:
    """Record your verdict on the diagnosis RUN_ID; without one, list those that wait for it."""
    if run_id is None:
        if accepted is not None or note:
            raise UsageError("name the run that the review is of: agent review RUN_ID ...")
        _list_waiting(_archive(tracking_uri), experiment)
        return
    if accepted is None:
        raise UsageError(
            "give your verdict: --accept or --reject (agent report shows the diagnosis)"
        )
    _archive(tracking_uri).review(run_id, accepted, plain(note))
    click.echo(f"{plain(run_id)}: {'accepted' if accepted else 'rejected'}")


@click.command("apply")
@click.argument("run_id")
@click.option("--check", is_flag=True, help="Only see whether the patch applies.")
@options.tracking_uri
def apply_command(run_id: str, check: bool, tracking_uri: str | None) -> None:
    """Apply the patch of the diagnosis RUN_ID in the current folder, or nothing at all."""
    from agent.apply_patch import apply_patch, check_patch

    diagnosis = _archive(tracking_uri).diagnosis(run_id)
    patch, digests = _patch(diagnosis, run_id)
    _check_folder(diagnosis, digests)
    act = check_patch if check else apply_patch
    for path in act(patch, Path.cwd(), digests):
        name = plain(path.relative_to(Path.cwd()))
        click.echo(f"{name}: {'can be changed' if check else 'changed'}")


def _check_folder(diagnosis: Diagnosis, digests: Mapping[str, str]) -> None:
    """Say where the patch belongs, where that is not the folder that was diagnosed.

    Raises:
        UsageError: Its files are not here.
    """
    folder = diagnosis.fix.patch_folder if diagnosis.fix else ""
    if folder and not all(Path(name).is_file() for name in digests):
        raise UsageError(f"the patch belongs to another folder: run it in {plain(folder)}")


def _patch(diagnosis: Diagnosis, run_id: str) -> tuple[str, dict[str, str]]:
    fix = diagnosis.fix
    if fix is None:
        raise UsageError(f"run {run_id} confirmed no fix: there is nothing to apply")
    checked = fix.patch_check
    if checked is not None and not checked.passed:
        raise UsageError(f"the patch of run {run_id} is not offered: {plain(checked.reason)}")
    if not fix.patch:
        hint = plain(fix.advice) or f"agent report {run_id} says what to change"
        if fix.helpers:
            hint = f"agent report {run_id} has a few lines to paste"
        raise UsageError(f"the fix of run {run_id} could not be written as a patch. {hint}")
    return fix.patch, dict(checked.files) if checked else {}


def _archive(tracking_uri: str | None) -> Archive:
    from agent.ledger.archive import Archive
    from agent.store import home

    return Archive(tracking_uri, home())


def _list_waiting(archive: Archive, experiment: str) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from agent.report import ReportConsole

    entries = list(archive.waiting(experiment))
    if not entries:
        click.echo("no diagnosis waits for a review")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("run", no_wrap=True)
    for name in ("when", "script", "verdict", "symptom", "fix", "metric"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        table.add_row(*map(Text, _cells(entry)))
    console = ReportConsole(sys.stdout, None if sys.stdout.isatty() else 160)
    console.print(table)


def _cells(entry: Entry) -> tuple[str, ...]:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.started))
    script = Path(entry.script).name
    found = (entry.run_id, when, script, entry.verdict, entry.symptom, entry.fix, entry.recovery)
    return tuple(map(plain, found))
