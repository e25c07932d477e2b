"""Scores the agent on the corpus: every fault diagnosed, its healthy twin observed.

python -m tests.benchmarks.score                      # every fault, at three seeds
python -m tests.benchmarks.score dead_relus --seeds 1 # some, at one
python -m tests.benchmarks.score --update             # and the table goes into README.md
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

import click

from tests.corpus import ROOT, Sick, load
from tests.corpus.command import FURTHER, Answer, answers_option, diagnose, keeping_answers

BEGIN, END = "<!-- corpus -->", "<!-- end of corpus -->"
_HEADER = (
    "fault", "symptom", "found", "right place", "fixed", "for example with", "metric", "recovered",
    "runs", "false alarms",
)  # fmt: skip


@dataclass(frozen=True)
class Score:
    """What one diagnosis of a sick script was worth.

    Attributes:
        answer: The diagnosis.
        found: Whether the symptom was found.
        located: Whether its place and line were the right ones.
        fixed: Whether a fix was confirmed, and it is a right one.
        wrong: Whether a fix was confirmed that is none.
        recovered: Share of what the cure by hand gives; None where that is not known.
        alarms: Codes that were raised on the healthy twin.
    """

    answer: Answer
    found: bool
    located: bool
    fixed: bool
    wrong: bool
    recovered: float | None
    alarms: tuple[str, ...]


def score(sick: Sick, seed_base: int) -> Score:
    """Diagnose a sick script and its healthy twin."""
    offered = [word for rival in sick.rivals for word in ("--try", rival)]
    answer = diagnose(sick.script, sick.args, seed_base, "--no-experience", *offered)
    same = [symptom for symptom in _alarms(answer) if symptom["code"] == sick.symptom]
    fix = answer["fix"]
    used = {action["name"] for action in fix["treatment"]} if fix else set()
    healthy, alarms = None, ()
    if sick.healthy is not None:
        healthy = diagnose(sick.healthy, sick.args, seed_base, "--observe")
        alarms = tuple(symptom["code"] for symptom in _alarms(healthy))
    return Score(
        answer=answer,
        found=bool(same),
        located=any(sick.names(symptom["where"], symptom["source"]) for symptom in same),
        fixed=bool(used & set(sick.remedies)),
        wrong=bool(used) and not used & set(sick.remedies),
        recovered=_recovered(fix, healthy),
        alarms=alarms,
    )


def _alarms(answer: Answer) -> list[Answer]:
    return [symptom for symptom in answer["symptoms"] if symptom["severity"] >= 0.5]


def _recovered(fix: Answer | None, healthy: Answer | None) -> float | None:
    if fix is None or healthy is None:
        return None
    before, after = (_mean(fix[f"metric_{when}"]) for when in ("before", "after"))
    cured = healthy["workload"]["metric"]["value"]
    return (after - before) / (cured - before) if cured != before else None


def _mean(values: dict[str, float]) -> float:
    return statistics.fmean(values.values())


def row(scored: dict[Sick, list[Score]]) -> str:
    """The row of a fault, in all scripts that have it, the workload first."""
    sick = next(iter(scored))
    scores = [score for each in scored.values() for score in each]
    fixes = [score.answer["fix"] for score in scored[sick] if score.answer["fix"]]
    shares = [score.recovered for score in scores if score.recovered is not None]
    metric = scores[0].answer["workload"]["metric"]["name"]
    cells = (
        f"`{sick.name}`: {sick.story}",
        f"`{sick.symptom}`",
        _of(scores, "found"),
        _of(scores, "located"),
        _of(scores, "fixed") if sick.remedies else "advice",
        " + ".join(f"`{_written(action)}`" for action in fixes[0]["treatment"]) if fixes else "",
        _change(metric, fixes[0]) if fixes else "",
        f"{statistics.fmean(shares):.0%}" if shares else "",
        f"{statistics.fmean(s.answer['cost']['baseline_equivalents'] for s in scores):.0f}",
        " ".join(sorted({code for s in scores for code in s.alarms})) or "none",
    )
    return f"| {' | '.join(cells)} |"


def _of(scores: list[Score], what: str) -> str:
    return f"{sum(getattr(s, what) for s in scores)} of {len(scores)}"


def _change(metric: str, fix: Answer) -> str:
    return f"{metric} {_mean(fix['metric_before']):.3g} → {_mean(fix['metric_after']):.3g}"


def _written(action: Answer) -> str:
    params = ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in action["params"].items()
    )
    return f"{action['name']}({params})" if params else str(action["name"])


def summary(scored: dict[Sick, list[Score]]) -> str:
    """The whole corpus in one line."""
    every = [score for scores in scored.values() for score in scores]
    treatable = [score for sick, scores in scored.items() if sick.remedies for score in scores]
    shares = [score.recovered for score in treatable if score.recovered is not None]
    twins = [s for sick, scores in scored.items() if sick.healthy for s in scores]
    return (
        f"{len(scored)} sick scripts, {len(every)} diagnoses: "
        f"found {_of(every, 'found')}, at the right place {_of(every, 'located')}, "
        f"fixed {_of(treatable, 'fixed')} treatable ones, "
        f"{sum(share >= 0.9 for share in shares)} of {len(shares)} to 90 % or more of what the "
        f"cure by hand gives, wrong fixes {_of(every, 'wrong')}; alarms on healthy twins: "
        f"{sum(bool(s.alarms) for s in twins)} of {len(twins)}."
    )


@click.command()
@click.option("--seeds", default=3, help="Diagnoses of each script.")
@click.option("--update", is_flag=True, help="Put the table into README.md.")
@answers_option
@click.argument("names", nargs=-1)
def main(seeds: int, update: bool, answers: Path | None, names: tuple[str, ...]) -> None:
    """Print the table of the corpus, or of the faults with some NAMES."""
    scored: dict[Sick, list[Score]] = {}
    lines = [f"| {' | '.join(_HEADER)} |", "|---" * len(_HEADER) + "|"]
    faults: dict[str, list[Sick]] = {}
    for sick in load():
        faults.setdefault(sick.name.removesuffix("/second"), []).append(sick)
    with keeping_answers(answers):
        for fault, scripts in faults.items():
            if not names or fault in names:
                found = {s: [score(s, FURTHER * n) for n in range(seeds)] for s in scripts}
                lines.append(row(found))
                click.echo(lines[-1], err=True)
                scored |= found
    table = "\n".join([*lines, "", summary(scored)])
    click.echo(table)
    if update:
        readme = ROOT / "README.md"
        pattern = re.compile(f"(?<={BEGIN}\n).*(?=\n{END})", re.S)
        readme.write_text(pattern.sub(lambda _: table, readme.read_text()))


if __name__ == "__main__":
    main()
