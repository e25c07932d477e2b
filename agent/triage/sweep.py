"""One sweep over a tracking store: find the runs that need help, and work on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from agent.errors import AgentError
from agent.triage.case_work import Desk, good_options
from agent.triage.findings import Finding
from agent.triage.judge import chosen_metric
from agent.triage.recipe import Refused, find_recipe
from agent.triage.runs import Case, Run, is_finite
from agent.triage.scan import Scan, Selection
from agent.triage.tracking import Tracking
from probes.objective import infer_mode

_GOOD = 100
"""The latest runs among which the known-good one is looked for."""


@dataclass(frozen=True)
class Plan:
    """What a sweep does.

    Attributes:
        experiments: Names of those to look at; empty: all.
        selection: Which runs are looked at.
        most: Runs to diagnose at most; None: all.
        seconds: After which no further diagnosis is begun; None: never.
    """

    experiments: tuple[str, ...] = ()
    selection: Selection = Selection()
    most: int | None = None
    seconds: float | None = None


@dataclass
class Report:
    """What came of a sweep.

    Attributes:
        seen: Runs that were looked at.
        cases: Those that needed help.
        findings: What came of them.
        problems: What could not be done, a line for each.
        seconds: What it took.
    """

    seen: int = 0
    cases: list[Case] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def line(self) -> str:
        """The same in one line, for a log."""
        verdicts = [finding.verdict for finding in self.findings]
        told = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
        problems = f", {len(self.problems)} problems" if self.problems else ""
        left = len(self.cases) - len(self.findings)
        return (
            f"{self.seen} runs seen, {len(self.cases)} need help, {len(self.findings)} diagnosed"
            f"{f' ({told})' if told else ''}, {left} left{problems}, {self.seconds:.0f} s"
        )


def sweep(plan: Plan, desk: Desk, tell: Callable[[Finding], None]) -> Report:
    """Diagnose what needs help.

    Args:
        plan: What to look at.
        desk: Where the work is done.
        tell: Is told of each finished diagnosis.
    """
    report, began = Report(), time.monotonic()
    for experiment in _experiments(plan, desk):
        scan = Scan(desk.tracking, experiment, plan.selection)
        cases = list(scan.cases())
        report.seen += scan.seen
        report.cases += cases
        done = {f.case.run.run_id for f in _worked(cases, plan, desk, report, began, tell)}
        scan.settle(case for case in cases if case.run.run_id not in done)
    report.seconds = time.monotonic() - began
    return report


def _experiments(plan: Plan, desk: Desk) -> dict[str, str]:
    """Names of the experiments by their ids, as they are now."""
    return desk.tracking.experiments(plan.experiments, desk.terms.experiment)


def _worked(
    cases: Sequence[Case],
    plan: Plan,
    desk: Desk,
    report: Report,
    began: float,
    tell: Callable[[Finding], None],
) -> Iterator[Finding]:
    sick = {case.run.run_id for case in cases}
    for case in cases:
        if plan.most is not None and len(report.findings) >= plan.most:
            return
        if plan.seconds is not None and time.monotonic() - began > plan.seconds:
            return
        try:
            finding = desk.work(case, good_run(desk.tracking, case, sick))
        except Exception as error:  # One run must not keep the others from being looked at.
            kind = "" if isinstance(error, AgentError) else f"{type(error).__name__}: "
            report.problems.append(f"{case.run.name}: {kind}{error}")
            continue
        if finding is not None:
            report.findings.append(finding)
            tell(finding)
            yield finding


def preview(plan: Plan, desk: Desk) -> Iterator[tuple[str, Case, str]]:
    """What a sweep would do: experiment, run with the reason, and what would be done.

    Args:
        plan: What to look at.
        desk: Where the work would be done.
    """
    shown = 0
    for experiment, name in _experiments(plan, desk).items():
        cases = list(Scan(desk.tracking, experiment, plan.selection).cases())
        sick = {case.run.run_id for case in cases}
        for case in cases:
            late = plan.most is not None and shown >= plan.most
            yield name, case, "later (--max-runs)" if late else _intended(case, desk, sick)
            shown += 1


def _intended(case: Case, desk: Desk, sick: set[str]) -> str:
    try:
        recipe = find_recipe(case.run, desk.root)
    except Refused as refusal:
        return f"read its metrics: {refusal}"
    good = good_run(desk.tracking, case, sick)
    told = "observe" if case.kind == "crashed" else "diagnose"
    if good is not None and good_options(case, good):
        told += f" against {good.name}"
    return told + (f", at commit {recipe.commit[:12]}" if recipe.commit else "")


def good_run(tracking: Tracking, case: Case, sick: set[str]) -> Run | None:
    """The last good run of the experiment: of the same script, and no worse than is usual.

    Args:
        tracking: The store.
        case: The run that needs help.
        sick: Ids of all that need help.
    """
    name = chosen_metric(case.run)
    if name is None:
        return None
    latest = tracking.runs(
        case.run.experiment_id, "attributes.status = 'FINISHED'", "end_time DESC", _GOOD
    )
    good = [
        run
        for run in latest
        if run.run_id not in sick
        and not run.ours
        and not run.done
        and run.noted("script") == case.run.noted("script") != ""
        and is_finite(run.metrics.get(name, float("nan")))
    ]
    if not good:
        return None
    middle, sign = median(run.metrics[name] for run in good), -1 if infer_mode(name) == "min" else 1
    return next(run for run in good if sign * (run.metrics[name] - middle) >= 0)
