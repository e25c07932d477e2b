"""Observes every healthy script at several seeds: none may raise an alarm.

python -m tests.benchmarks.silence
"""

from __future__ import annotations

from pathlib import Path

import click

from tests.corpus import ROOT, load
from tests.corpus.command import FURTHER, answers_option, diagnose, keeping_answers


@click.command()
@click.option("--seeds", default=3, help="Observations of each script.")
@answers_option
def main(seeds: int, answers: Path | None) -> None:
    """Print which scripts raised which alarms, and how many raised none."""
    scripts = [(script, ()) for script in sorted((ROOT / "tests" / "healthy").glob("*.py"))]
    scripts += [(sick.healthy, sick.args) for sick in load() if sick.healthy is not None]
    silent = 0
    with keeping_answers(answers):
        for script, args in scripts:
            for number in range(seeds):
                answer = diagnose(script, args, FURTHER * number, "--observe")
                silent += answer["verdict"] == "healthy"
                if answer["verdict"] != "healthy":
                    click.echo(f"{script.relative_to(ROOT)}, seed {number}: {answer['summary']}")
    click.echo(f"{silent} of {seeds * len(scripts)} observations of healthy scripts are silent")


if __name__ == "__main__":
    main()
