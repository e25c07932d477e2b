"""What each policy spends until a fix is confirmed, on the sick workloads.

python -m tests.benchmarks.policies                          # every treatable one, at three seeds
python -m tests.benchmarks.policies step_order --seeds 1     # some, at one

Costs are in runs of the untreated script, up to the confirmed fix: the runs of the patch that comes
of it are told apart. ``ranked with experience`` knows what it found in the second, differently
built script of each fault, and in the scripts that it was put to before.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from tests.corpus import Sick, load
from tests.corpus.command import FURTHER, Answer, answers_option, diagnose, keeping_answers

_LEARNED = "policies-learned"
_POLICIES = {
    "ranked with experience": ("--policy", "ranked", "--experiment", _LEARNED),
    "ranked": ("--policy", "ranked", "--no-experience"),
    "tpe": ("--policy", "tpe", "--no-experience"),
    "random": ("--policy", "random", "--no-experience"),
}


@dataclass(frozen=True)
class Cost:
    """What one diagnosis came to.

    Attributes:
        fixed: Whether a right fix was confirmed.
        wrong: Whether a fix was confirmed that is none.
        spent: Runs of the untreated script until the fix was confirmed, or the diagnosis ended.
        searched: Those of them that were spent before the confirmation.
        patching: Runs of the patch that is offered.
    """

    fixed: bool
    wrong: bool
    spent: float
    searched: float
    patching: int

    @classmethod
    def of(cls, sick: Sick, answer: Answer) -> Cost:
        """The cost of a diagnosis of a sick script."""
        fix = answer["fix"]
        used = {action["name"] for action in fix["treatment"]} if fix else set()
        right = bool(used & set(sick.remedies))
        check = fix["patch_check"] if fix else None
        patching = len(check["metric"]) if check else 0
        spent = answer["cost"]["baseline_equivalents"] - patching
        confirming = 2 * len(fix["metric_after"]) if fix else 0
        return cls(right, bool(used) and not right, spent, spent - confirming, patching)


def table(costs: dict[str, list[Cost]]) -> Iterable[str]:
    """One line per policy."""
    yield "| policy | fixed | wrong fix | median cost | of it the search | with the patch |"
    yield "|---|---|---|---|---|---|"
    for policy, found in costs.items():
        fixed = sum(cost.fixed for cost in found)
        wrong = sum(cost.wrong for cost in found)
        spent = statistics.median(cost.spent for cost in found)
        searched = statistics.median(cost.searched for cost in found)
        whole = statistics.median(cost.spent + cost.patching for cost in found)
        told = f"{spent:.1f} | {searched:.1f} | {whole:.1f}"
        yield f"| {policy} | {fixed} of {len(found)} | {wrong} | {told} |"


@click.command()
@click.option("--seeds", default=3, help="Diagnoses of each script by each policy.")
@answers_option
@click.argument("names", nargs=-1)
def main(seeds: int, answers: Path | None, names: tuple[str, ...]) -> None:
    """Print the table of the treatable workloads, or of some NAMES."""
    with keeping_answers(answers):
        click.echo("\n".join(table(costs(seeds, names))))


def costs(seeds: int, names: tuple[str, ...]) -> dict[str, list[Cost]]:
    """What each policy came to, script by script."""
    every = [sick for sick in load() if sick.remedies]
    chosen = [s for s in every if s.healthy is not None and (not names or s.name in names)]
    for sick in every:
        if sick.name.removesuffix("/second") in {s.name for s in chosen} and not sick.healthy:
            diagnose(sick.script, sick.args, 0, "--experiment", _LEARNED)
    found: dict[str, list[Cost]] = {policy: [] for policy in _POLICIES}
    for sick in chosen:
        for policy, options in _POLICIES.items():
            for number in range(seeds):
                answer = diagnose(sick.script, sick.args, FURTHER * number, *options)
                found[policy].append(Cost.of(sick, answer))
            last = found[policy][-seeds:]
            told = ", ".join(f"{cost.spent:.0f}{'' if cost.fixed else ' unfixed'}" for cost in last)
            click.echo(f"{sick.name}: {policy}: {told}", err=True)
    return found


if __name__ == "__main__":
    main()
