"""Draws the diagnosis from what was found."""

from __future__ import annotations

from agent import setting_answer
from agent.command_line import command_line
from agent.confirm import Confirmation, summarise
from agent.diagnosis import (
    Cost,
    Diagnosis,
    Fix,
    LedgerEntry,
    MetricSummary,
    Tried,
    TriedStatus,
    Verdict,
    WorkloadSummary,
)
from agent.excerpts import excerpts
from agent.findings import Findings
from agent.heard import Heard, by_gain, explain
from agent.main_symptom import main_symptom
from agent.request import Request
from remedies import remedies
from remedies.treatment import CONTROL, describe

_AS_GOOD = 0.5
"""Share of the best gain below which a partial recovery is no rival of the best one."""


def draw(
    request: Request, findings: Findings, cost: Cost, entry: LedgerEntry | None, error: str | None
) -> Diagnosis:
    """The diagnosis that follows from the findings."""
    verdict = _verdict(findings, error)
    fix = _fix(findings.fix, request, findings) if findings.fix else None
    settings = findings.settings
    return Diagnosis(
        verdict=verdict,
        summary=_summary(verdict, findings, error),
        workload=_workload(request, findings),
        symptoms=findings.symptoms,
        tried=tuple(_tried(findings)),
        fix=fix,
        known_good=setting_answer.known_good(settings, request) if settings else None,
        cost=cost,
        mlflow=entry,
        error=error,
        excerpts=excerpts(findings.symptoms, request.workload.directory, request.workload.script),
        command=command_line(request),
    )


def _verdict(findings: Findings, error: str | None) -> Verdict:
    if error is not None:
        return "failed"
    if findings.fix is not None:
        return "fixed"
    sick = any(symptom.alarming for symptom in findings.symptoms)
    worse = findings.settings is not None and not findings.settings.complaint
    return "unresolved" if sick or worse else "healthy"


def _summary(verdict: Verdict, findings: Findings, error: str | None) -> str:
    fix = findings.fix.treatment if findings.fix else CONTROL
    named = main_symptom(findings.symptoms, fix)
    if error is not None:
        return error
    settings = findings.settings
    if settings is not None and not settings.complaint:
        if findings.fix is not None and fix == settings.fix:
            return setting_answer.sentence(settings)
        if named is None and findings.fix is None:
            return f"{setting_answer.sentence(settings)}; no treatment was confirmed"
    if verdict == "healthy" or named is None:
        return "no symptom of a sick training was found"
    found = f"{named.name} at {named.where}"
    if findings.fix is None:
        return f"{found}; no treatment was confirmed"
    return f"{found}; {describe(fix)} recovers {_objective_name(findings)}"


def _objective_name(findings: Findings) -> str:
    return findings.objective.name if findings.objective else "the metric"


def _workload(request: Request, findings: Findings) -> WorkloadSummary:
    baseline, objective = findings.baseline, findings.objective
    metric = None
    if objective is not None:
        value = baseline.value(objective) if baseline else objective.worst
        metric = MetricSummary(
            name=objective.name,
            mode=objective.mode,
            source=objective.source,
            inferred=request.metric is None,
            value=None if value == objective.worst else value,
        )
    ending = baseline.ending if baseline else None
    return WorkloadSummary(
        script=str(request.workload.script),
        args=request.workload.args,
        metric=metric,
        steps=baseline.steps if baseline else 0,
        seconds=round(ending.seconds, 2) if ending else 0.0,
        prefix=findings.prefix.steps if findings.prefix else None,
    )


def _fix(confirmation: Confirmation, request: Request, findings: Findings) -> Fix:
    comparison, treatment = confirmation.comparison, confirmation.treatment
    advice = [remedies[action.remedy].advice(action) for action in treatment]
    patch = findings.patch
    return Fix(
        treatment=treatment,
        metric_before=comparison.control,
        metric_after=comparison.treated,
        effect=comparison.effect,
        ci=comparison.ci,
        p_value=comparison.p_value,
        noise=comparison.noise,
        advice="\n".join([*advice, *setting_answer.advice(treatment, request)]),
        patch=patch.text if patch else None,
        patch_check=findings.patch_check,
        patch_folder=patch.elsewhere(request.workload.directory) if patch else "",
        pasted=patch is not None and patch.pasted,
        helpers=findings.helpers,
    )


def _tried(findings: Findings) -> list[Tried]:
    fix = findings.fix
    ranked = by_gain(findings.heard)
    best = ranked[0] if ranked else None
    entries: list[Tried] = []
    put = list(findings.confirmations)
    if findings.settings is not None:
        entries += setting_answer.tried(findings.settings, put, fix)
        told = [entry.treatment for entry in entries]
        put = [result for result in put if result.treatment not in told]
    for heard in findings.heard:
        result = next((r for r in put if r.treatment == heard.treatment), None)
        entries.append(_heard_entry(heard, best, result, fix))
        put = [other for other in put if other is not result]
    # What is left was made by leaving remedies out of a confirmed treatment.
    entries += [_reduced_entry(result, fix) for result in put]
    order = ["confirmed", "refuted", "inert", "failed", "pruned"]
    return sorted(entries, key=lambda entry: order.index(entry.status))


def _heard_entry(
    heard: Heard, best: Heard | None, result: Confirmation | None, fix: Confirmation | None
) -> Tried:
    assessment, objective = heard.assessment, heard.assessment.objective
    seed = assessment.treated.spec.seed
    metric = {seed: assessment.value} if assessment.reported else {}
    control = {seed: assessment.control.value(objective)}
    status, reason = _status(heard, best), explain(heard, best)
    if result is not None:
        metric |= result.comparison.treated
        control |= result.comparison.control
        status, reason = _confirmed_status(result, fix), _confirmed_reason(result, fix)
    return Tried(
        treatment=heard.treatment,
        status=status,
        metric=metric,
        control=control,
        cleared=assessment.cleared,
        raised=assessment.raised,
        reason=reason,
    )


def _reduced_entry(result: Confirmation, fix: Confirmation | None) -> Tried:
    return Tried(
        treatment=result.treatment,
        status=_confirmed_status(result, fix),
        metric=result.comparison.treated,
        control=result.comparison.control,
        reason=_confirmed_reason(result, fix),
    )


def _confirmed_status(result: Confirmation, fix: Confirmation | None) -> TriedStatus:
    return "confirmed" if fix is not None and result.treatment == fix.treatment else "refuted"


def _confirmed_reason(result: Confirmation, fix: Confirmation | None) -> str:
    if result.confirmed and fix is not None and not result.treatment == fix.treatment:
        return f"more than is needed: {describe(fix.treatment)} recovers as much"
    return summarise(result)


def _status(heard: Heard, best: Heard | None) -> TriedStatus:
    assessment = heard.assessment
    if heard.pruned:
        return "pruned"
    if assessment.broken:
        return "failed"
    if assessment.inert:
        return "inert"
    if heard.recovers and best is not None:
        return "pruned" if assessment.gain >= _AS_GOOD * best.assessment.gain else "refuted"
    return "refuted"
