"""`agent experience`: what past diagnoses say about the remedies."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from agent import options
from agent.units import look_up, registries

if TYPE_CHECKING:
    from agent.experience import Experience


@click.command("experience")
@options.tracking_uri
@click.option("--experiment", metavar="NAME", default="agent", help="MLflow experiment.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.argument("units", metavar="[CODE|NAME]...", nargs=-1)
def experience_command(
    units: tuple[str, ...], tracking_uri: str | None, experiment: str, as_json: bool
) -> None:
    """Show how often each remedy was confirmed for a symptom; of some UNITS only, if named.

    The chance is the mean of a Beta distribution: the remedy's written prior, which counts as four
    diagnoses, and the diagnoses of the experiment. One that a reviewer rejected counts against it.
    """
    probes, remedies = registries()
    wanted = {look_up(unit, probes, remedies).code for unit in units}
    from agent.ledger.lookup import experience_of
    from agent.store import home

    found = experience_of(experiment, tracking_uri, home())
    rows = [row for row in _rows(found) if not wanted or wanted & {row.symptom, row.remedy}]
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    elif rows:
        _show(rows)
    else:
        click.echo("no diagnosis has confirmed or refuted anything of that yet")


@dataclass(frozen=True)
class _Row:
    symptom: str
    remedy: str
    name: str
    prior: float
    confirmed: int
    refuted: int
    rejected: int
    chance: float
    low: float
    high: float


def _rows(experience: Experience) -> list[_Row]:
    """One row for each pair that was tried, by symptom, the likeliest remedy first."""
    _, remedies = registries()
    rows = []
    for (symptom, code), record in experience.records.items():
        if code in remedies:  # Another package's may be gone.
            remedy = remedies[code]
            low, high = experience.interval(remedy, symptom)
            rows.append(
                _Row(
                    symptom=symptom,
                    remedy=code,
                    name=remedy.name,
                    prior=remedy.treats.get(symptom, 0.0),
                    confirmed=record.confirmed,
                    refuted=record.refuted,
                    rejected=record.rejected,
                    chance=round(experience.chance(remedy, symptom), 3),
                    low=round(low, 3),
                    high=round(high, 3),
                )
            )
    return sorted(rows, key=lambda row: (row.symptom, -row.chance))


def _show(rows: list[_Row]) -> None:
    from rich.table import Table

    from agent.report import ReportConsole

    table = Table(box=None, pad_edge=False)
    for title in "symptom", "remedy", "prior", "confirmed", "rejected", "chance", "90 %":
        table.add_column(title, no_wrap=True)
    before = ""
    for row in rows:
        tried = row.confirmed + row.refuted + row.rejected
        table.add_row(
            row.symptom if row.symptom != before else "",
            f"{row.remedy} {row.name}",
            f"{row.prior:.2f}",
            f"{row.confirmed} of {tried}",
            str(row.rejected or ""),
            f"{row.chance:.2f}",
            f"{row.low:.2f}-{row.high:.2f}",
        )
        before = row.symptom
    ReportConsole(sys.stdout).print(table)
