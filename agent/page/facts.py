"""What the template of the page is filled with: words and rows, nothing of HTML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.caveats import not_checked
from agent.diagnosis import Diagnosis, Excerpt
from agent.page.evidence import Evidence
from agent.page.tree import module_tree
from agent.text import number, plain
from agent.wording import (
    advice,
    change,
    costs,
    evidence,
    good_configuration,
    headline,
    location,
    next_steps,
    patch_place,
    reason,
    recovery,
    setting,
    statistics,
    to_paste,
)
from probes.symptom import Symptom
from remedies.treatment import describe

_MOST_SYMPTOMS = 24
_MOST_TRIED = 200
_MOST_DIFF = 1000
_LONGEST = 600
_KINDS = {"+": "added", "-": "removed", "@": "place"}


def facts(shown: Evidence) -> dict[str, Any]:
    """All that the template asks for."""
    diagnosis = shown.diagnosis
    fix, alarms = diagnosis.fix, [s for s in diagnosis.symptoms if s.alarming]
    mild = [s for s in diagnosis.symptoms if not s.alarming]
    return {
        "verdict": diagnosis.verdict,
        "script": cut(Path(diagnosis.workload.script).name, 80),
        "headline": cut(_problem(diagnosis)),
        "setting": cut(setting(diagnosis.workload)),
        "figures": list(_figures(diagnosis)),
        "fix": cut(describe(fix.treatment)) if fix else "",
        "advice": [cut(line) for line in advice(fix)] if fix else [],
        "diff": _diff(fix.patch) if fix and fix.patch else [],
        "paste": to_paste(fix) if fix else [],
        "statistics": statistics(fix) if fix else "",
        "settings": [cut(line) for line in good_configuration(diagnosis)],
        "symptoms": _symptoms(alarms[:_MOST_SYMPTOMS], diagnosis.excerpts),
        "others": [f"{s.code} {s.name} at {cut(location(s))}" for s in alarms[_MOST_SYMPTOMS:]],
        "mild": [f"{s.code} {s.name} at {cut(location(s))}" for s in mild[:_MOST_SYMPTOMS]],
        "tree": module_tree(shown.baseline, diagnosis.symptoms),
        "tried": _tried(diagnosis),
        "left_out": max(0, len(diagnosis.tried) - _MOST_TRIED),
        "next": [cut(line) for line in next_steps(diagnosis)],
        "unchecked": not_checked(diagnosis),
        "costs": costs(diagnosis),
        "run": plain(diagnosis.mlflow.run_id) if diagnosis.mlflow else "",
        "commands": list(_commands(diagnosis)),
    }


def cut(text: object, at_most: int = _LONGEST) -> str:
    """One line of a script's text, and not endless.

    >>> cut("a" * 9, 5)
    'aaaa…'
    """
    line = plain(text)
    return line if len(line) <= at_most else line[: at_most - 1] + "…"


def _problem(diagnosis: Diagnosis) -> str:
    """What is wrong; the fix has a line of its own."""
    worst = next((symptom for symptom in diagnosis.symptoms if symptom.alarming), None)
    if diagnosis.verdict != "fixed" or worst is None or diagnosis.known_good is not None:
        return headline(diagnosis)
    return f"{worst.name} at {location(worst)}"


def _figures(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """The few numbers that belong beside the verdict: what it is, and its value."""
    metric, fix, cost = diagnosis.workload.metric, diagnosis.fix, diagnosis.cost
    if metric is not None and fix is not None:
        yield cut(metric.name, 40), recovery(fix)
        yield "improvement", f"{fix.effect:+.3g} ({fix.ci[0]:.3g} to {fix.ci[1]:.3g})"
        seeds = len(fix.metric_after)
        yield "confirmed on", f"{seeds} seed{'' if seeds == 1 else 's'}, p = {fix.p_value:.2g}"
    elif metric is not None:
        yield cut(metric.name, 40), number(metric.value)
    if diagnosis.tried or diagnosis.verdict != "healthy":
        yield "tried", f"{len(diagnosis.tried)} treatment{'' if len(diagnosis.tried) == 1 else 's'}"
    yield "cost", f"{cost.baseline_equivalents:.1f} runs"


def _diff(patch: str) -> list[tuple[str, str]]:
    """Lines of the patch with what kind they are."""
    rows = []
    for line in patch.splitlines()[:_MOST_DIFF]:
        kind = "file" if line.startswith(("--- ", "+++ ")) else _KINDS.get(line[:1], "same")
        rows.append((kind, line[:_LONGEST]))
    return rows


def _symptoms(symptoms: list[Symptom], excerpts: tuple[Excerpt, ...]) -> list[dict[str, Any]]:
    """Symptoms with the lines that they name; an excerpt is shown where it is first needed."""
    rows, left = [], list(excerpts)
    for symptom in symptoms:
        file, _, line = (symptom.source or "").rpartition(":")
        lines = [e for e in left if e.file == file and line.isdigit() and int(line) in e.marked]
        left = [excerpt for excerpt in left if excerpt not in lines]
        rows.append(
            {
                "code": cut(symptom.code),
                "name": cut(symptom.name),
                "location": cut(location(symptom)),
                "severity": symptom.severity,
                "step": symptom.step,
                "message": cut(symptom.message),
                "evidence": cut(evidence(symptom)),
                "excerpts": [_lines(excerpt) for excerpt in lines],
            }
        )
    return rows


def _lines(excerpt: Excerpt) -> dict[str, Any]:
    numbered = enumerate(excerpt.lines, excerpt.first)
    rows = [(line, text.expandtabs(4), line in excerpt.marked) for line, text in numbered]
    return {"file": cut(excerpt.file), "rows": rows}


def _tried(diagnosis: Diagnosis) -> list[dict[str, str]]:
    return [
        {
            "status": tried.status,
            "treatment": cut(describe(tried.treatment)),
            "change": change(tried),
            "reason": cut(reason(tried)),
        }
        for tried in diagnosis.tried[:_MOST_TRIED]
    ]


def _commands(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """What to type, and what it does."""
    run = plain(diagnosis.mlflow.run_id) if diagnosis.mlflow else ""
    if diagnosis.fix and diagnosis.fix.patch and run:
        place = cut(patch_place(diagnosis.fix))
        yield f"Apply the patch, in {place}", f"agent apply {run}"
    if run and diagnosis.verdict in ("fixed", "unresolved"):
        yield "Say what you think of it", f"agent review {run} --accept"
    if diagnosis.command:
        yield "Diagnose it again", cut(diagnosis.command, 4000)
