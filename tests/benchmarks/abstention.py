"""Forces healthy but noisy scripts into trials, ten times each: none may end with a fix.

python -m tests.benchmarks.abstention

Both scripts have reached the best there is before they end, and what they report is a small sample
of it. No treatment can do better, so that each fix would be luck.
"""

from __future__ import annotations

from pathlib import Path

import click

from tests.corpus import ROOT
from tests.corpus.command import FURTHER, answers_option, diagnose, keeping_answers

_SCRIPTS = ("fresh_validation.py", "noisy_rewards.py")
_FORCED = ("scale-learning-rate", "inject-noise", "average-weights", "enlarge-batch")


@click.command()
@click.option("--runs", default=10, help="Diagnoses of each script.")
@answers_option
def main(runs: int, answers: Path | None) -> None:
    """Print how often each script ended how."""
    forced = ["--no-experience", *(word for name in _FORCED for word in ("--try", name))]
    with keeping_answers(answers):
        for name in _SCRIPTS:
            script = ROOT / "tests" / "healthy" / name
            verdicts = [
                diagnose(script, (), FURTHER * number, *forced)["verdict"] for number in range(runs)
            ]
            counted = ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts)))
            click.echo(f"{name}: {counted}")


if __name__ == "__main__":
    main()
