"""What a session as a whole is told as: after its first run, and at its end."""

from __future__ import annotations

from agent import conclusion
from agent.diagnosis import Cost, Diagnosis
from agent.episode import Episode
from agent.markdown import to_markdown
from agent.mcp import models
from agent.mcp.acts import left
from agent.mcp.session import Session
from agent.mcp.shown import NAME, finite, short
from agent.text import plain
from agent.units import explanation
from probes.symptom import Symptom

_MOST_SYMPTOMS = 20


def observed(session: Session, diagnosis: Diagnosis) -> models.Observed:
    """The untreated run.

    Args:
        session: What it is of.
        diagnosis: What is known of it; where the session goes on, not the last word.
    """
    goes_on = session.is_open
    workload = diagnosis.workload
    metric = workload.metric
    return models.Observed(
        session=session.handle,
        open=goes_on,
        verdict="sick" if goes_on and diagnosis.verdict == "unresolved" else diagnosis.verdict,
        summary=short(diagnosis.summary),
        metric=models.Metric(
            name=short(metric.name, NAME),
            mode=metric.mode,
            value=finite(metric.value),
            inferred=metric.inferred,
        )
        if metric
        else None,
        steps=workload.steps,
        run_seconds=workload.seconds,
        symptoms=[_symptom(symptom) for symptom in diagnosis.symptoms[:_MOST_SYMPTOMS]],
        left=left(session),
        next="Call candidates, and explain for codes that you do not know."
        if goes_on
        else "The session is over. report tells the whole; observe begins another one.",
    )


def _symptom(symptom: Symptom) -> models.SymptomFound:
    return models.SymptomFound(
        code=symptom.code,
        name=symptom.name,
        severity=round(symptom.severity, 3),
        where=short(symptom.where, NAME),
        source=short(symptom.source, NAME) if symptom.source else None,
        step=symptom.step,
        message=short(symptom.message),
    )


def so_far(session: Session, episode: Episode) -> Diagnosis:
    """The diagnosis that would follow from what is known now."""
    cost = Cost(trials=session.leash.runs, baseline_equivalents=round(episode.spent, 2))
    return conclusion.draw(session.request, episode.findings, cost, None, None)


def report(diagnosis: Diagnosis, is_open: bool = False) -> models.Report:
    """The whole answer."""
    return models.Report(
        verdict="open" if is_open else diagnosis.verdict,
        summary=short(diagnosis.summary),
        report=to_markdown(diagnosis),
        run_id=diagnosis.mlflow.run_id if diagnosis.mlflow else "",
    )


def patch(session: Session, diagnosis: Diagnosis) -> models.Patch:
    """The fix as a change of the source."""
    fix = diagnosis.fix
    directory = str(session.request.workload.directory)
    if fix is None:
        return models.Patch(
            patch=None, directory=directory, check="", advice="No fix was confirmed.", helpers=[]
        )
    check = fix.patch_check
    told = plain(check.reason) if check else "the fix could not be written as a patch"
    advice = "\n".join(short(line) for line in fix.advice.splitlines())
    return models.Patch(
        patch=fix.patch,
        directory=fix.patch_folder or directory,
        check=short(told),
        advice=advice,
        helpers=[
            f"Behind {short(pasted.place)}, which {short(pasted.behind)}:\n{pasted.code}"
            for pasted in fix.helpers
        ],
    )


def explained(code: str) -> models.Explained:
    """The page of a probe or a remedy.

    Raises:
        UsageError: There is none.
    """
    title, page, relations = explanation(code)
    return models.Explained(title=title, page="\n".join(page), relations=relations)
