"""What came of a run: told by its diagnosis, or where there can be none by what it logged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.diagnosis import Diagnosis
from agent.ledger.records import MAX_TAG
from agent.markdown import escape
from agent.text import number
from agent.triage.judge import History, chosen_metric
from agent.triage.runs import NOTE, Case, Run, is_finite

_MOST = 20  # metrics that are told of
_FIRST_NOT_FINITE = "P301"


@dataclass(frozen=True)
class Finding:
    """What came of a run.

    Attributes:
        case: The run, and why it needed help.
        verdict: That of the diagnosis.
        summary: One sentence.
        basis: ``rerun``, or ``metrics`` where it could not be run again.
        diagnosis: Id of the run that has the diagnosis.
        experiment_id: Where that is.
    """

    case: Case
    verdict: str
    summary: str
    basis: str
    diagnosis: str
    experiment_id: str


def summarise(case: Case, diagnosis: Diagnosis) -> str:
    """One sentence about a run that was run again.

    A crash is told as such: the exception, the line, and the first value before it that was no
    finite number.
    """
    told = diagnosis.summary
    if case.kind == "crashed":
        told = f"{_crash(case.run)}: {told}" if diagnosis.verdict != "failed" else told
        if diagnosis.verdict == "healthy":
            return f"{_crash(case.run)}, which did not happen again: {diagnosis.summary}"
        first = next((s for s in diagnosis.symptoms if s.code == _FIRST_NOT_FINITE), None)
        if first is not None:
            told += f". Before it, {first.message} ({first.source or first.where})"
        return told
    if diagnosis.verdict == "healthy" and case.kind in ("killed", "stale"):
        return f"{case.reason}; run again, it comes to its end: {told}"
    if diagnosis.verdict == "healthy":
        return f"{case.reason}; run again, {told}"
    return told


def _crash(run: Run) -> str:
    line = run.noted("line")
    return (run.noted("ending") or "it failed") + (f" at {line}" if line else "")


def from_metrics(case: Case, refusal: str, history: History) -> tuple[str, str]:
    """Summary and Markdown of a diagnosis that has nothing but what the run logged.

    Args:
        case: The run, and why it needs help.
        refusal: Why it cannot be run again.
        history: Reads curves.
    """
    run = case.run
    told = _crash(run) if case.kind == "crashed" else case.reason
    broken = [_first_broken(run, name, history) for name in _broken(run)]
    first = min(broken, default=None)
    if first is not None and case.kind != "not-finite":
        told += f"; {first[1]} was no finite number from step {first[0]} on"
    elif first is not None:
        told = f"{first[1]} was no finite number from step {first[0]} on"
    lines = [f"**{escape(told)}**", f"Not run again: {escape(refusal)}. From its metrics alone."]
    name = chosen_metric(run)
    if name is not None and name not in _broken(run):
        curve = [value for _, value in history(run.run_id, name) if is_finite(value)]
        if curve:
            span = f"from {number(curve[0])} to {number(curve[-1])}"
            lines.append(f"{escape(name)}: {len(curve)} values, {span}")
    return told, "\n\n".join(lines)


def _broken(run: Run) -> list[str]:
    return sorted(name for name, value in run.metrics.items() if not is_finite(value))[:_MOST]


def _first_broken(run: Run, name: str, history: History) -> tuple[int, str]:
    points = history(run.run_id, name)
    return next((step for step, value in points if not is_finite(value)), 0), name


def note_with(run: Run, finding: Finding, link: Callable[[str, str], str]) -> str:
    """The description of a diagnosed run: what it had, and a line with verdict and link.

    Args:
        run: As it is now.
        finding: What came of it.
        link: Makes a link of an experiment and a run.
    """
    place = link(finding.experiment_id, finding.diagnosis)
    basis = " (from its metrics alone)" if finding.basis == "metrics" else ""
    line = f"**agent: {finding.verdict.upper()}**{basis}: {escape(finding.summary)} "
    line += f"([diagnosis]({place}))"
    before = run.tags.get(NOTE, "").rstrip()
    if finding.diagnosis in before:
        return before
    note = f"{before}\n\n{line}".strip()
    return note if len(note) <= MAX_TAG else before  # Their own words come first.
