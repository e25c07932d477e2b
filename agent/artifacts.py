"""The report as the files and tables that go into the MLflow run of a diagnosis."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.diagnosis import Diagnosis
from agent.markdown import to_markdown
from agent.wording import change, evidence, location, reason
from agent.workload import Outcome
from remedies.treatment import describe

FOLDER = "report"
PAGE = "report.html"

_UNLIMITED = 10**9
_MOST_ROWS = 1000

Table = dict[str, list[Any]]


def write_report(diagnosis: Diagnosis, outcomes: Iterable[Outcome], folder: Path) -> None:
    """Write ``report.html``, ``report.md`` and the figures as PNG.

    Args:
        diagnosis: What to tell.
        outcomes: The trials that it rests on, as far as there are any.
        folder: Where the files go.
    """
    from agent.page import make_page  # Draws: seconds, which only a finished diagnosis is worth.
    from agent.page.evidence import Evidence

    (folder / "report.md").write_text(to_markdown(diagnosis, _UNLIMITED), "utf-8", "replace")
    page = make_page(Evidence.of(diagnosis, outcomes))
    (folder / PAGE).write_text(page.html, encoding="utf-8")
    for name, content in page.pictures.items():
        (folder / name).write_bytes(content)


def prepare() -> None:
    """Load what a report is made with, which takes seconds, while there is nothing else to do."""
    with contextlib.suppress(ImportError):
        for name in (
            "jinja2",
            "matplotlib.backends.backend_svg",
            "matplotlib.backends.backend_agg",
        ):
            importlib.import_module(name)


def tables(diagnosis: Diagnosis) -> dict[str, Table]:
    """``symptoms`` and ``trials`` as columns, for MLflow's table view; empty ones are left out."""
    symptoms = [
        {
            "code": symptom.code,
            "name": symptom.name,
            "severity": symptom.severity,
            "where": location(symptom),
            "step": symptom.step,
            "message": symptom.message,
            "evidence": evidence(symptom),
        }
        for symptom in diagnosis.symptoms[:_MOST_ROWS]
    ]
    trials = [
        {
            "status": tried.status,
            "treatment": describe(tried.treatment),
            "control → treated": change(tried),
            "why": reason(tried),
        }
        for tried in diagnosis.tried[:_MOST_ROWS]
    ]
    return {
        name: {column: [row[column] for row in rows] for column in rows[0]}
        for name, rows in (("symptoms", symptoms), ("trials", trials))
        if rows
    }
