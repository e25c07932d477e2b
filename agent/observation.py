"""The untreated run: its metric, what is wrong with it, and how much of it the trials need."""

from __future__ import annotations

from collections.abc import Sequence

from agent.errors import UsageError, WorkloadError
from agent.findings import Findings
from agent.prefix import choose
from agent.progress import Listener, Notice, ObjectiveChosen, SymptomsFound
from agent.request import Request
from agent.text import duration
from agent.trials import Trials
from agent.workload import Outcome
from probes.objective import Objective, infer_mode
from probes.registry import suggest
from probes.symptom import Symptom
from remedies.treatment import CONTROL


def observe(request: Request, trials: Trials, listener: Listener, findings: Findings) -> None:
    """Run the script untreated, choose the metric and read the symptoms.

    Args:
        request: What to diagnose, and how.
        trials: Runs it.
        listener: Is told what happens.
        findings: Gets what was found, as far as it comes.

    Raises:
        WorkloadError: The script fails by itself or trains nothing.
        UsageError: The metric that was asked for is not reported.
    """
    trials.start(CONTROL, request.seed_base, "observe")
    baseline = trials.next()
    findings.baseline = baseline
    if baseline.trace.steps:
        findings.objective = trials.objective = _objective(request, baseline)
    findings.symptoms = trials.symptoms(baseline)
    trials.conclude(baseline, "observed")
    for note in (text for text in baseline.trace.notes if text.startswith("--")):
        listener(Notice(note))
    _shorten(request, trials, listener, findings)
    whole = trials.outcomes[baseline.spec.number]
    check_baseline(whole, findings.symptoms, request.good is not None)
    if findings.objective is not None:
        listener(ObjectiveChosen(findings.objective, request.metric is None))
    listener(SymptomsFound(findings.symptoms))


def _shorten(request: Request, trials: Trials, listener: Listener, findings: Findings) -> None:
    """Choose a prefix for the trials where whole runs would take too long."""
    baseline, objective = findings.baseline, findings.objective
    if baseline is None or objective is None or request.good is not None or request.observe:
        return
    runs = request.budget / trials.slots
    chosen = choose(baseline, objective, trials.symptoms, runs, request.time_budget)
    if chosen is not None:
        trials.shorten(chosen.outcome, chosen.steps)
        findings.prefix = chosen
        findings.symptoms = trials.symptoms(chosen.outcome)
        listener(
            Notice(
                f"{request.budget:g} runs of this script would take more than "
                f"{duration(request.time_budget)} (--time-budget): trials stop after "
                f"{chosen.steps} of {chosen.of} steps, which show the symptoms"
            )
        )


def _objective(request: Request, baseline: Outcome) -> Objective | None:
    name = request.metric
    if name is None:
        return Objective.infer(baseline.trace)
    metrics = baseline.trace.metrics
    if name not in metrics:
        near = suggest(name, list(metrics)).partition(" (")[0]
        known = f"It reports: {', '.join(metrics)}" if metrics else "It reports none at all"
        raise UsageError(f"the script reports no metric {name!r}{near or '.'} {known}")
    mode = request.mode or infer_mode(name, metrics)
    return Objective(name=name, mode=mode, source=metrics[name].source)


def check_baseline(baseline: Outcome, symptoms: Sequence[Symptom], known_bad: bool = False) -> None:
    """Make sure that the untreated run can be diagnosed at all.

    An abnormal end is part of the disease where the training had gone wrong before it: the script
    of a diverged run may well stop itself.

    Args:
        baseline: The untreated run.
        symptoms: What was found in it.
        known_bad: Whether it is sick by what the user says: other arguments are known to be good.

    Raises:
        WorkloadError: The script fails by itself, or trains nothing.
    """
    ending = baseline.trace.ending
    status, steps = baseline.status, baseline.trace.steps
    sick = known_bad or any(symptom.alarming for symptom in symptoms)
    if status in ("completed", "stopped"):
        if not steps:
            raise WorkloadError(
                "the script trains nothing: no optimizer step, no backward pass. "
                "Give the arguments that make it train"
            )
        return
    if status in ("raised", "exited") and steps and sick:
        return
    at = f" at {ending.source}" if ending and ending.source else ""
    message = f": {ending.message}" if ending and ending.message else ""
    source = ending.source if ending else None
    known = [s.message for s in symptoms if s.alarming and source and s.source == source]
    cure = f". {known[0]}" if known else ". Make it run by itself first"
    hints = {
        "timeout": ". Raise --timeout, or diagnose a prefix with --max-steps",
        "out-of-memory": ". Raise --memory",
    }
    raise WorkloadError(
        f"the untreated script {_ended(status)} after {steps} steps{at}{message}"
        f"{hints.get(status, cure)}"
    )


def _ended(status: str) -> str:
    return {
        "raised": "raised an exception",
        "exited": "exited",
        "killed": "was killed",
        "timeout": "exceeded its time limit",
        "out-of-memory": "exceeded its memory limit",
        "cancelled": "was cancelled",
    }[status]
