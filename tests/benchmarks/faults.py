"""Diagnoses every bundled workload, sick and healthy, and prints the table of README.md.

python tests/benchmarks/faults.py            # prints it; about a quarter of an hour, two cores
python tests/benchmarks/faults.py --update   # and puts it into README.md
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"


@dataclass(frozen=True)
class Fault:
    """One bundled workload.

    Attributes:
        folder: Its folder below ``workloads``.
        story: What is wrong with it, in a few words.
        rivals: Remedies that are forced into the study, to be refuted.
        sick: The script and the arguments that train badly.
        healthy: Those that train well.
        good: Options that tell of the healthy arguments.
    """

    folder: str
    story: str
    rivals: tuple[str, ...] = ()
    sick: tuple[str, ...] = ("sick.py",)
    healthy: tuple[str, ...] = ("healthy.py",)
    good: tuple[str, ...] = ()


_GOOD = ("--lr", "0.03", "--momentum", "0.9")
_BAD = (
    "--lr 0.15 --momentum 0.98 --batch-size 48 --width 80 --dropout 0.05 --weight-decay 1e-4 "
    "--activation gelu --label-smoothing 0.05 --schedule cosine"
).split()

FAULTS = (
    Fault(
        "context_collapse",
        "batch norm froze on the statistics of the first batches",
        ("strengthen-term", "inject-noise", "scale-learning-rate"),
    ),
    Fault(
        "unbounded_encoder",
        "an encoder ends without a norm, a norm comes only after pooling",
        ("norm-input",),
    ),
    Fault("stochastic_bottleneck", "a code that noise drowns, on a task without chance"),
    Fault(
        "background_collapse",
        "loud untrained modules from the first step on; all is predicted as background",
        ("enlarge-batch", "reset-head-bias"),
    ),
    Fault("checkpointed_gradients", "a reentrant checkpoint that loses gradients"),
    Fault(
        "reduction_bias",
        "one of four heads starves beside the others",
        ("change-huber-delta", "clip-targets"),
    ),
    Fault("contrastive_dominance", "one loss term has 99.9 % of the gradient", ("train-longer",)),
    Fault(
        "known_good",
        "nine settings differ from a run that worked, two fail together",
        sick=("train.py", *_BAD),
        healthy=("train.py", *_GOOD),
        good=("--good", " ".join(_GOOD)),
    ),
)


def diagnose(folder: Path, command: tuple[str, ...], *options: str) -> dict[str, Any]:
    """The diagnosis of a script with its arguments, as JSON."""
    agent = Path(sys.executable).parent / "agent"
    script, *args = command
    with tempfile.TemporaryDirectory() as temporary:
        answer = Path(temporary) / "diagnosis.json"
        ours = ["diagnose", "--quiet", "--budget", "40", "--json", answer, *options]
        done = subprocess.run(
            [agent, *ours, folder / script, *args], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        if done.returncode not in (0, 1):
            raise click.ClickException(f"{folder.name} ended with exit code {done.returncode}")
        diagnosis: dict[str, Any] = json.loads(answer.read_text())
        return diagnosis


def row(fault: Fault) -> str:
    """The row of a fault; raises where it does not end as it should."""
    folder = ROOT / "workloads" / fault.folder
    offered = [word for rival in fault.rivals for word in ("--try", rival)]
    sick = diagnose(folder, fault.sick, *offered, *fault.good)
    healthy = diagnose(folder, fault.healthy)
    if (sick["verdict"], healthy["verdict"]) != ("fixed", "healthy"):
        raise click.ClickException(f"{fault.folder}: {sick['verdict']}, {healthy['verdict']}")
    alarms = [symptom for symptom in sick["symptoms"] if symptom["severity"] >= 0.5]
    codes = " ".join(sorted({f"`{symptom['code']}`" for symptom in alarms}))
    found = f"{codes} at `{alarms[0]['where']}`, {alarms[0]['source']}" if alarms else "no alarm"
    refuted = {tried["treatment"][0]["name"] for tried in sick["tried"]} - {
        action["name"] for action in sick["fix"]["treatment"]
    }
    cells = (
        f"`{fault.folder}`: {fault.story}",
        found,
        " + ".join(f"`{_written(action)}`" for action in sick["fix"]["treatment"]),
        _recovery(sick),
        ", ".join(f"`{name}`" for name in sorted(refuted)),
    )
    return f"| {' | '.join(cells)} |"


def _written(action: dict[str, Any]) -> str:
    if not action["params"]:
        return str(action["name"])
    params = ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in action["params"].items()
    )
    return f"{action['name']}({params})"


def _recovery(sick: dict[str, Any]) -> str:
    before, after = (
        " ".join(f"{value:.2f}" for _, value in sorted(sick["fix"][f"metric_{when}"].items()))
        for when in ("before", "after")
    )
    return f"{sick['workload']['metric']['name']} {before} → {after}"


@click.command()
@click.option("--update", is_flag=True, help="Put the table into README.md.")
@click.argument("folders", nargs=-1)
def main(update: bool, folders: tuple[str, ...]) -> None:
    """Print the table of faults, or the rows of some FOLDERS."""
    lines = [
        "| fault | found as | confirmed fix | metric at seeds 1, 2, 3 | not the cause |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        if not folders or fault.folder in folders:
            lines.append(row(fault))
            click.echo(lines[-1], err=True)
    table = "\n".join(lines)
    click.echo(table)
    if update:
        readme = ROOT / "README.md"
        pattern = re.compile(f"(?<={BEGIN}\n).*(?=\n{END})", re.S)
        readme.write_text(pattern.sub(lambda _: table, readme.read_text()))


if __name__ == "__main__":
    main()
