"""The diagnosis as Markdown, for the description of the MLflow run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agent.caveats import not_checked
from agent.diagnosis import Diagnosis
from agent.text import plain
from agent.wording import (
    advice,
    change,
    costs,
    good_configuration,
    headline,
    location,
    next_steps,
    patch_place,
    reason,
    recovery,
    seed_rows,
    setting,
    statistics,
    to_paste,
)
from remedies.treatment import describe

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$])")
_LIMIT = 8000  # Characters that MLflow keeps of a run's description.


def to_markdown(diagnosis: Diagnosis, limit: int = _LIMIT) -> str:
    """The whole answer for the description of the MLflow run; later parts go when it is too long.

    Args:
        diagnosis: What to tell.
        limit: Characters that there is room for.
    """
    text = ""
    for part in _parts(diagnosis):
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
    return _SPECIAL.sub(r"\\\1", shown)


def _parts(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"**{diagnosis.verdict.upper()}**: {escape(headline(diagnosis), at_most=1000)}"
    if diagnosis.fix is not None:
        fixed = escape(describe(diagnosis.fix.treatment), at_most=1000)
        yield f"**Fix**: {fixed} ({escape(recovery(diagnosis.fix))})"
    yield escape(setting(diagnosis.workload), at_most=1000)
    if diagnosis.symptoms:
        found: list[tuple[str, ...]] = [
            (f"{s.code} {s.name}", f"{s.severity:.2f}", location(s), f"{s.step}", s.message)
            for s in diagnosis.symptoms
        ]
        head = ("symptom", "severity", "where", "from step", "message")
        yield from _table("What is wrong", head, found)
    yield from _list("Which setting it is", good_configuration(diagnosis))
    fix = diagnosis.fix
    if fix is not None:
        rows_fix = list(seed_rows(fix.metric_after, fix.metric_before))
        yield f"### How sure it is\n\n{escape(statistics(fix))}"
        yield from _table("By seed", ("seed", "before", "after"), rows_fix)
        yield from _list("What to change in the script", advice(fix))
        for where, code in to_paste(fix):
            yield f"{escape(where)}\n\n{_fenced(code, 'python')}"
    yield f"### What it took\n\n{escape(costs(diagnosis))}"
    yield from _list("What to do next", _next(diagnosis))
    yield from _list("What was not checked", not_checked(diagnosis))
    if diagnosis.tried:
        rows = [(t.status, describe(t.treatment), change(t), reason(t)) for t in diagnosis.tried]
        columns = ("status", "treatment", "control → treated", "why")
        yield from _table("What was tried", columns, [*rows])
    if fix is not None and fix.patch:
        yield f"### Patch\n\n{_fenced(fix.patch, 'diff')}"


def _fenced(code: str, language: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"


def _next(diagnosis: Diagnosis) -> list[str]:
    """What a reader of the run can do with it."""
    steps = next_steps(diagnosis)
    if diagnosis.mlflow is None or diagnosis.verdict not in ("fixed", "unresolved"):
        return steps
    run = diagnosis.mlflow.run_id
    if diagnosis.fix is not None and diagnosis.fix.patch:
        place = patch_place(diagnosis.fix)
        steps.append(f"agent apply {run} applies the patch, in {place}")
    verdict = "agent review RUN_ID --accept or --reject says what you think of it"
    return [*steps, f"{verdict.replace('RUN_ID', run)}, as does the tag agent.review here"]


def _table(
    title: str, head: tuple[str, ...], rows: list[tuple[str, ...]], at_most: int = 20
) -> Iterator[str]:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(map(escape, row))} |" for row in rows[:at_most]]
    if len(rows) > at_most:
        lines.append(f"\n… and {len(rows) - at_most} more")
    yield f"### {title}\n\n" + "\n".join(lines)


def _list(title: str, items: Iterable[str]) -> Iterator[str]:
    lines = [f"- {escape(item)}" for item in items]
    if lines:
        yield f"### {title}\n\n" + "\n".join(lines)
