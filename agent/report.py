"""The diagnosis for a person: in the terminal, as plain text, and as Markdown for MLflow."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from rich import box
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agent.diagnosis import Diagnosis, Fix, Tried, WorkloadSummary
from probes.symptom import Symptom
from remedies.treatment import describe

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", re.S)
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$])")
_CREDENTIALS = re.compile(r"://[^/@\s]+@")
_NO_METRIC = 1e12  # Objective.worst: what a run without a final metric is told as.
_NARROW = 100
_LONGEST_PATCH = 40
_PLACES, _NAMES = 3, 10
_WIDEST = 120
_MARKDOWN_LIMIT = 8000  # Characters that MLflow keeps of a run's description.
_STYLES = {
    "healthy": "bold green",
    "fixed": "bold green",
    "unresolved": "bold yellow",
    "failed": "bold red",
    "confirmed": "green",
}


class ReportConsole(Console):
    """A console that takes all text as it is, and outlives the reader of its pipe."""

    def __init__(self, file: TextIO, width: int | None = None, record: bool = False) -> None:
        super().__init__(
            file=file, width=width, record=record, markup=False, emoji=False, highlight=False
        )

    def on_broken_pipe(self) -> None:
        """Say nothing more: the exit code still counts."""
        self.quiet = True
        self.file = io.StringIO()


class Report:
    """The whole answer as one renderable, fitted to the width at hand."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self._diagnosis = diagnosis

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        narrow = options.max_width < _NARROW
        inner = options.update(max_width=min(options.max_width, _WIDEST))
        yield from console.render(Group(*_parts(self._diagnosis, narrow)), inner)


def to_text(diagnosis: Diagnosis, width: int = 100) -> str:
    """The whole answer as plain text."""
    console = ReportConsole(io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(Report(diagnosis))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def save_picture(diagnosis: Diagnosis, path: Path, width: int = 100) -> None:
    """Write the answer as a picture of a terminal that shows it (SVG)."""
    console = ReportConsole(io.StringIO(), width=width, record=True)
    console.print(Text(f"$ agent diagnose {_command(diagnosis.workload)}\n"))
    console.print(Report(diagnosis))
    # Without the web font: a picture in a document must not fetch anything.
    template = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.S)
    console.save_svg(str(path), title="agent", code_format=template)


# --- words and numbers, shared with the live view ---


def plain(text: object) -> str:
    r"""Text from a script as one harmless line: no escape sequences, no control characters.

    >>> plain("a\x1b[31mred\x1b[0m\nb\u202e")
    'ared b'
    """
    stripped = _ESCAPE_SEQUENCE.sub("", str(text))
    kept = (char if char.isprintable() else " " for char in stripped)
    return " ".join("".join(kept).split())


def number(value: float | None) -> str:
    """A metric for a person: four digits; ``none`` for a run that broke off without one.

    >>> number(0.123456), number(-1e12), number(None)
    ('0.1235', 'none', 'none')
    """
    if value is None or math.isnan(value) or abs(value) == _NO_METRIC:
        return "none"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds for a person.

    >>> duration(0.04), duration(9.87), duration(75), duration(7384)
    ('0.0 s', '9.9 s', '1 min 15 s', '2 h 3 min')
    """
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def location(symptom: Symptom) -> str:
    """Where a symptom is, with its source line."""
    where = plain(symptom.where) or "the whole program"
    return f"{where} ({plain(symptom.source)})" if symptom.source else where


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


def _setting(workload: WorkloadSummary) -> str:
    parts = [_command(workload)]
    if workload.metric is not None:
        metric = workload.metric
        chosen = ", inferred: see --metric" if metric.inferred else ""
        parts.append(f"metric {plain(metric.name)} ({metric.mode}, {metric.source}{chosen})")
    parts.append(f"untreated run: {workload.steps} steps in {duration(workload.seconds)}")
    return "; ".join(parts)


def _command(workload: WorkloadSummary) -> str:
    script = Path(workload.script)
    if script.is_relative_to(Path.cwd()):
        script = script.relative_to(Path.cwd())
    return plain(" ".join([str(script), *workload.args]))


def _costs(diagnosis: Diagnosis) -> str:
    cost = diagnosis.cost
    parts = ", ".join(f"{part} {duration(seconds)}" for part, seconds in cost.parts.items())
    trials = f"{cost.trials} trial{'' if cost.trials == 1 else 's'}"
    return (
        f"{trials}, {cost.baseline_equivalents:.1f} times the steps of the untreated run, "
        f"{duration(cost.wall_s)}{f' ({parts})' if parts else ''}"
    )


def _record(diagnosis: Diagnosis) -> list[str]:
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


def _pairs(after: Mapping[int, float], before: Mapping[int, float]) -> Iterator[tuple[str, ...]]:
    for seed in sorted({*after, *before}):
        yield str(seed), number(before.get(seed)), number(after.get(seed))


def _change(tried: Tried, at_most: int = 4) -> str:
    """Control and treated metric by seed, as short as it can be said."""
    pairs = list(_pairs(tried.metric, tried.control if tried.metric else {}))
    shown = ", ".join(f"{before} → {after}" for _, before, after in pairs[:at_most])
    return f"{shown}, … ({len(pairs)} seeds)" if len(pairs) > at_most else shown


def _reason(tried: Tried) -> str:
    codes = [f"clears {', '.join(tried.cleared)}"] if tried.cleared else []
    codes += [f"raises {', '.join(tried.raised)}"] if tried.raised else []
    return plain("; ".join([tried.reason, *codes] if tried.reason else codes))


def _statistics(fix: Fix) -> str:
    low, high = fix.ci
    chance = "not known" if math.isnan(fix.p_value) else f"{fix.p_value:.2g}"
    return (
        f"effect {fix.effect:+.4g}, 95% CI {number(low)} to {number(high)}, p = {chance} "
        f"(one-sided paired t-test, {len(fix.metric_after)} seeds), noise of the control "
        f"{number(fix.noise)}"
    )


def _advice(fix: Fix) -> list[str]:
    return [line for raw in fix.advice.splitlines() if (line := plain(raw))]


def _evidence(symptom: Symptom) -> str:
    return ", ".join(f"{plain(key)} {number(value)}" for key, value in symptom.evidence.items())


def _next_steps(diagnosis: Diagnosis) -> list[str]:
    if diagnosis.verdict != "unresolved":
        return []
    steps = [
        f"agent explain {plain(code)}" for code in sorted({s.code for s in diagnosis.symptoms})
    ]
    steps = [f"{' and '.join(steps[:3])}: what it means, and what else helps"] if steps else []
    if not diagnosis.tried:
        return [*steps, "run it without --observe, so that remedies get their trials"]
    if any(tried.status == "pruned" for tried in diagnosis.tried):
        steps.append(
            "a larger --budget: some trials were given up before the evidence was complete"
        )
    steps.append("--try CODE gives a remedy of your choice a trial (agent list)")
    return steps


# --- terminal ---


def _parts(diagnosis: Diagnosis, narrow: bool) -> Iterator[RenderableType]:
    verdict = diagnosis.verdict
    yield Text.assemble((verdict.upper(), _STYLES[verdict]), "  ", (headline(diagnosis), "bold"))
    yield Text(_setting(diagnosis.workload), style="dim")
    if verdict == "healthy":
        yield from _healthy(diagnosis)
        return
    yield from _section("What is wrong", _symptoms(diagnosis.symptoms))
    if diagnosis.tried:
        table = _tried_list(diagnosis) if narrow else [_tried_table(diagnosis)]
        yield from _section("What was tried (control → treated, by seed)", table)
    if diagnosis.fix is not None:
        metric = diagnosis.workload.metric
        yield from _section("What fixed it", _fix(diagnosis.fix, metric.name if metric else ""))
        yield from _section("What to change in the script", _to_change(diagnosis.fix))
    yield from _section("What to try next", map(Text, _next_steps(diagnosis)))
    yield from _section("What it took", [Text(_costs(diagnosis))])
    yield from _section("Recorded in MLflow", map(Text, _record(diagnosis)))


def _healthy(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    mild = [f"{s.code} {s.name} at {location(s)} ({s.severity:.2f})" for s in diagnosis.symptoms]
    if mild:
        yield Text(f"Seen, too mild to matter: {'; '.join(mild)}")
    if diagnosis.mlflow is not None:
        yield Text(f"Recorded in MLflow: {' '.join(_record(diagnosis))}", style="dim")


def _section(title: str, body: Iterable[RenderableType]) -> Iterator[RenderableType]:
    rows = list(body)
    if rows:
        yield Text()
        yield Text(title, style="bold")
        yield Padding(Group(*rows), (0, 0, 0, 2))


def _symptoms(symptoms: Iterable[Symptom]) -> Iterator[RenderableType]:
    """Each fault at the places where it is worst, and then only the names of the others."""
    by_code: dict[str, list[Symptom]] = {}
    for symptom in symptoms:
        by_code.setdefault(symptom.code, []).append(symptom)
    for code, found in by_code.items():
        yield from map(_symptom, found[:_PLACES])
        if others := [location(symptom) for symptom in found[_PLACES:]]:
            tail = f", and {len(others) - _NAMES} more" if len(others) > _NAMES else ""
            yield Text(f"{code} also at {', '.join(others[:_NAMES])}{tail}")


def _symptom(symptom: Symptom) -> RenderableType:
    style = "bold red" if symptom.alarming else "yellow"
    title = Text.assemble((f"{symptom.code} {symptom.name}", style), f" at {location(symptom)}")
    title.append(f", severity {symptom.severity:.2f}, from step {symptom.step}")
    details = [Text(plain(symptom.message))]
    if symptom.evidence:
        details.append(Text(_evidence(symptom), style="dim"))
    return Group(title, Padding(Group(*details), (0, 0, 0, 2)))


def _tried_table(diagnosis: Diagnosis) -> RenderableType:
    metric = diagnosis.workload.metric
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("status", no_wrap=True)
    table.add_column("treatment", ratio=4, overflow="fold")
    table.add_column(plain(metric.name) if metric else "metric", ratio=3, overflow="fold")
    table.add_column("why", ratio=4, overflow="fold")
    for tried in diagnosis.tried:
        style = _STYLES.get(tried.status, "dim")
        cells = (tried.status, plain(describe(tried.treatment)), _change(tried), _reason(tried))
        table.add_row(*map(Text, cells), style=style)
    return table


def _tried_list(diagnosis: Diagnosis) -> list[RenderableType]:
    rows: list[RenderableType] = []
    for tried in diagnosis.tried:
        style = _STYLES.get(tried.status, "dim")
        rows.append(Text(f"{tried.status}: {plain(describe(tried.treatment))}", style=style))
        details = [Text(line, style=style) for line in (_change(tried), _reason(tried)) if line]
        rows.append(Padding(Group(*details), (0, 0, 0, 2)))
    return rows


def _fix(fix: Fix, metric: str) -> Iterator[RenderableType]:
    yield Text(plain(describe(fix.treatment)), style="green")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("seed")
    table.add_column(Text(f"{plain(metric)} before".strip()), justify="right")
    table.add_column("after", justify="right", style="green")
    for row in _pairs(fix.metric_after, fix.metric_before):
        table.add_row(*map(Text, row))
    yield table
    yield Text(_statistics(fix))


def _to_change(fix: Fix) -> Iterator[RenderableType]:
    yield from map(Text, _advice(fix))
    lines = (fix.patch or "").splitlines()
    if len(lines) > _LONGEST_PATCH:
        yield Text(f"as a patch of {len(lines)} lines: --patch FILE writes it")
        return
    for line in lines:
        shown = "".join(char if char.isprintable() else " " for char in line.expandtabs(4))
        yield Text(shown, style={"+": "green", "-": "red"}.get(line[:1], "dim"))


# --- Markdown ---


def to_markdown(diagnosis: Diagnosis, limit: int = _MARKDOWN_LIMIT) -> str:
    """The whole answer for the description of the MLflow run; later parts go when it is too long.

    Args:
        diagnosis: What to tell.
        limit: Characters that there is room for.
    """
    text = ""
    for part in _markdown_parts(diagnosis):
        if len(text) + len(part) + 2 > limit:
            return text + "…\n" if len(text) + 2 <= limit else text
        text += f"{part}\n\n"
    return text.rstrip() + "\n"


def escape(text: object, at_most: int = 300) -> str:
    r"""Text from a script for Markdown: shown as it is, whatever it contains, but not endlessly.

    >>> escape("a|b <b>*c*</b>")
    'a\\|b \\<b\\>\\*c\\*\\</b\\>'
    """
    line = plain(text)
    shown = line if len(line) <= at_most else line[: at_most - 1] + "…"
    return _MARKDOWN_SPECIAL.sub(r"\\\1", shown)


def _markdown_parts(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"**{diagnosis.verdict.upper()}**: {escape(headline(diagnosis), at_most=1000)}"
    yield escape(_setting(diagnosis.workload), at_most=1000)
    if diagnosis.symptoms:
        found: list[tuple[str, ...]] = [
            (f"{s.code} {s.name}", f"{s.severity:.2f}", location(s), f"{s.step}", s.message)
            for s in diagnosis.symptoms
        ]
        head = ("symptom", "severity", "where", "from step", "message")
        yield from _markdown_table("What is wrong", head, found)
    fix = diagnosis.fix
    if fix is not None:
        rows_fix = list(_pairs(fix.metric_after, fix.metric_before))
        yield f"### What fixed it\n\n{escape(describe(fix.treatment), at_most=1000)}"
        yield escape(_statistics(fix))
        yield from _markdown_table("By seed", ("seed", "before", "after"), rows_fix)
        yield from _markdown_list("What to change in the script", _advice(fix))
    yield from _markdown_list("What to try next", _next_steps(diagnosis))
    yield f"### What it took\n\n{escape(_costs(diagnosis))}"
    if diagnosis.tried:
        rows = [(t.status, describe(t.treatment), _change(t), _reason(t)) for t in diagnosis.tried]
        columns = ("status", "treatment", "control → treated", "why")
        yield from _markdown_table("What was tried", columns, [*rows])
    if fix is not None and fix.patch:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", fix.patch)), default=0))
        yield f"### Patch\n\n{fence}diff\n{fix.patch.rstrip()}\n{fence}"


def _markdown_table(
    title: str, head: tuple[str, ...], rows: list[tuple[str, ...]], at_most: int = 20
) -> Iterator[str]:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(map(escape, row))} |" for row in rows[:at_most]]
    if len(rows) > at_most:
        lines.append(f"\n… and {len(rows) - at_most} more")
    yield f"### {title}\n\n" + "\n".join(lines)


def _markdown_list(title: str, items: Iterable[str]) -> Iterator[str]:
    lines = [f"- {escape(item)}" for item in items]
    if lines:
        yield f"### {title}\n\n" + "\n".join(lines)
