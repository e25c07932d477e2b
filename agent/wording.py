"""What the report says about a diagnosis, in words: the same in the terminal and in Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

from agent.diagnosis import Diagnosis, Fix, Tried, WorkloadSummary
from agent.text import duration, number, plain
from probes.symptom import Symptom
from remedies.treatment import describe

_CREDENTIALS = re.compile(r"://[^/@\s]+@")


def headline(diagnosis: Diagnosis) -> str:
    """What a person reads first: one sentence."""
    if diagnosis.verdict == "failed":
        return plain(diagnosis.error or diagnosis.summary or "the untreated script fails")
    if diagnosis.summary:
        return plain(diagnosis.summary)
    if diagnosis.verdict == "healthy":
        return "nothing is out of range"
    found = diagnosis.symptoms[0].name if diagnosis.symptoms else "no known symptom"
    if diagnosis.fix is None:
        return f"{found}: no fix was confirmed"
    return f"{found}: fixed by {plain(describe(diagnosis.fix.treatment))}"


def setting(workload: WorkloadSummary) -> str:
    """What was run, and what it was judged by."""
    parts = [command(workload)]
    if workload.metric is not None:
        metric = workload.metric
        chosen = ", inferred: see --metric" if metric.inferred else ""
        parts.append(f"metric {plain(metric.name)} ({metric.mode}, {metric.source}{chosen})")
    parts.append(f"untreated run: {workload.steps} steps in {duration(workload.seconds)}")
    if workload.prefix is not None:
        parts.append(
            f"diagnosed on its first {workload.prefix} steps, which show the symptoms: "
            "--time-budget allows for no more"
        )
    return "; ".join(parts)


def good_configuration(diagnosis: Diagnosis) -> list[str]:
    """What the comparison with a known-good configuration gave."""
    found = diagnosis.known_good
    if found is None:
        return []
    metric = diagnosis.workload.metric
    name = plain(metric.name) if metric else "metric"
    count = len(found.differences)
    # The headline says it already where it is the whole answer.
    lines = [plain(found.message)] if found.message != diagnosis.summary else []
    if found.metric_good is not None:
        lines.append(
            f"{name} {number(found.metric_bad)} as it is, {number(found.metric_good)} with all of "
            f"{count} setting{'' if count == 1 else 's'} reverted "
            f"({found.trials} run{'' if found.trials == 1 else 's'} of the good and of mixed ones)"
        )
    guilty = set(found.cause) | set(found.fix)
    if others := [plain(d.name) for d in found.differences if d.name not in guilty]:
        lines += [f"no part in it: {', '.join(others)}"] if found.cause else []
    return lines


def command(workload: WorkloadSummary) -> str:
    """The command line of the script, named as from the working directory."""
    script = Path(workload.script)
    if script.is_relative_to(Path.cwd()):
        script = script.relative_to(Path.cwd())
    return plain(" ".join([str(script), *workload.args]))


def location(symptom: Symptom) -> str:
    """Where a symptom is, with its source line."""
    where = plain(symptom.where) or "the whole program"
    return f"{where} ({plain(symptom.source)})" if symptom.source else where


def evidence(symptom: Symptom) -> str:
    """The numbers that a symptom rests on."""
    return ", ".join(f"{plain(key)} {number(value)}" for key, value in symptom.evidence.items())


def change(tried: Tried, at_most: int = 4) -> str:
    """Control and treated metric by seed, as short as it can be said."""
    pairs = list(seed_rows(tried.metric, tried.control if tried.metric else {}))
    shown = ", ".join(f"{before} → {after}" for _, before, after in pairs[:at_most])
    return f"{shown}, … ({len(pairs)} seeds)" if len(pairs) > at_most else shown


def seed_rows(after: Mapping[int, float], before: Mapping[int, float]) -> Iterator[tuple[str, ...]]:
    """Rows of a table: seed, metric before, metric after."""
    for seed in sorted({*after, *before}):
        yield str(seed), number(before.get(seed)), number(after.get(seed))


def reason(tried: Tried) -> str:
    """Why a treatment was kept or dropped, and what it did to the symptoms."""
    codes = [f"clears {', '.join(tried.cleared)}"] if tried.cleared else []
    codes += [f"raises {', '.join(tried.raised)}"] if tried.raised else []
    return plain("; ".join([tried.reason, *codes] if tried.reason else codes))


def statistics(fix: Fix) -> str:
    """How sure the fix is."""
    low, high = fix.ci
    chance = "not known" if math.isnan(fix.p_value) else f"{fix.p_value:.2g}"
    return (
        f"effect {fix.effect:+.4g}, 95% CI {number(low)} to {number(high)}, p = {chance} "
        f"(one-sided paired t-test, {len(fix.metric_after)} seeds), noise of the control "
        f"{number(fix.noise)}"
    )


def recovery(fix: Fix) -> str:
    """What a fix does to the metric, in a few characters: means over the seeds."""

    def mean(values: Mapping[int, float]) -> str:
        real = [value for value in values.values() if number(value) != "none"]
        return f"{fmean(real):.3g}" if real else "none"

    return f"{mean(fix.metric_before)} → {mean(fix.metric_after)}"


def advice(fix: Fix) -> list[str]:
    """What to change in the script, line by line."""
    lines = [line for raw in fix.advice.splitlines() if (line := plain(raw))]
    if check := fix.patch_check:
        done = "The patched script was run" if check.passed else "No patch is offered"
        lines.append(f"{done}: {plain(check.reason)}.")
    if fix.patch and fix.pasted:
        lines.append("The patch pastes a helper: the change has no safe place in the code itself.")
    if fix.patch and fix.patch_folder:
        lines.append(f"The patch belongs to {plain(fix.patch_folder)}.")
    return lines


def to_paste(fix: Fix) -> list[tuple[str, str]]:
    """What to paste by hand where there is no patch: where it goes, and the lines."""
    helpers = () if fix.patch else fix.helpers
    place = "To paste behind {}, the line that {} (not run from there by the diagnosis):"
    return [
        (place.format(plain(each.place), plain(each.behind)), each.code.rstrip("\n"))
        for each in helpers
    ]


def patch_place(fix: Fix) -> str:
    """The folder that a patch is applied in."""
    return plain(fix.patch_folder) or "the folder that was diagnosed"


def next_steps(diagnosis: Diagnosis) -> list[str]:
    """What a person can do where no fix was confirmed."""
    if diagnosis.verdict != "unresolved":
        return []
    symptoms = [s for s in diagnosis.symptoms if s.alarming] or diagnosis.symptoms
    steps = [f"agent explain {plain(code)}" for code in sorted({s.code for s in symptoms})]
    steps = [f"{' and '.join(steps[:3])}: what it means, and what else helps"] if steps else []
    if not diagnosis.tried:
        return [*steps, "run it without --observe, so that remedies get their trials"]
    if any(tried.status == "pruned" for tried in diagnosis.tried):
        steps.append(
            "a larger --budget: some trials were given up before the evidence was complete"
        )
    steps.append("--try CODE gives a remedy of your choice a trial (agent list)")
    return steps


def costs(diagnosis: Diagnosis) -> str:
    """What the diagnosis took."""
    cost = diagnosis.cost
    parts = ", ".join(f"{part} {duration(seconds)}" for part, seconds in cost.parts.items())
    trials = f"{cost.trials} trial{'' if cost.trials == 1 else 's'}"
    trials += f" ({cost.recalled} of them run by earlier diagnoses)" if cost.recalled else ""
    return (
        f"{trials}, {cost.baseline_equivalents:.1f} times the steps of the untreated run, "
        f"{duration(cost.wall_s)}{f' ({parts})' if parts else ''}"
    )


def record(diagnosis: Diagnosis) -> list[str]:
    """Where MLflow has it, and how to see it there."""
    entry = diagnosis.mlflow
    if entry is None:
        return []
    uri = _CREDENTIALS.sub("://***@", plain(entry.tracking_uri))
    page = f"#/experiments/{plain(entry.experiment_id)}/runs/{plain(entry.run_id)}"
    if uri.startswith(("http://", "https://")):
        return [f"{uri.rstrip('/')}/{page}"]
    return [
        f"run {plain(entry.run_id)} of experiment {plain(entry.experiment_id)}; to see it:",
        f"mlflow ui --backend-store-uri {uri}",
    ]
