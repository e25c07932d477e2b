"""The options of `agent diagnose`, and the request that they make."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.errors import UsageError
from agent.preflight import check_script
from agent.units import look_up, registries

if TYPE_CHECKING:
    from agent.request import Request

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class Memory(click.ParamType[int]):
    """Bytes, or a number with a unit: ``2GB`` is decimal, ``512MiB`` and ``2G`` are binary."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", str(value).strip().lower())
        if match is None or (match[3] == "ib" and not match[2]):
            self.fail(f"{value!r} is no size: write 2GB, 512MiB or a number of bytes.", param, ctx)
        size = int(float(match[1]) * (1000 if match[3] == "b" else 1024) ** _POWERS[match[2]])
        if size <= 0:
            self.fail(f"{value!r} is no memory at all.", param, ctx)
        return size


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


tracking_uri = click.option(
    "--tracking-uri",
    metavar="URI",
    envvar="MLFLOW_TRACKING_URI",
    help="MLflow store. [default: $MLFLOW_TRACKING_URI, or a local one]",
)
"""Of every command that reads or writes records."""
_positive = click.FloatRange(min=0, min_open=True)
_count = click.IntRange(1)
what_to_do = _options(
    click.option(
        "--metric", metavar="NAME[:min|max]", help="Judge by this metric. [default: the likeliest]"
    ),
    click.option("--observe", is_flag=True, default=None, help="Look for symptoms; no trials."),
    click.option("--only", multiple=True, metavar="CODE", help="Use only these units. Repeatable."),
    click.option("--skip", multiple=True, metavar="CODE", help="Leave a unit out. Repeatable."),
    click.option(
        "--try", "offer", multiple=True, metavar="CODE", help="Give a remedy a trial. Repeatable."
    ),
    click.option("--policy", metavar="NAME", help="Who chooses what to try. [default: ranked]"),
    click.option(
        "--no-experience",
        "experience",
        flag_value=False,
        default=None,
        help="Leave out what earlier diagnoses say.",
    ),
    click.option(
        "--fresh", is_flag=True, default=None, help="Run trials that an earlier diagnosis has run."
    ),
    click.option(
        "--good", metavar="ARGS", help="Arguments that worked: find the one that does not."
    ),
    click.option("--good-run", metavar="RUN_ID", help="The same, from the parameters of a run."),
)
how_much = _options(
    click.option(
        "--seeds", metavar="N", type=click.IntRange(2, 50), help="Pairs that confirm. [default: 3]"
    ),
    click.option(
        "--seed-base", metavar="N", type=click.IntRange(0), help="First trial seed. [default: 0]"
    ),
    click.option(
        "--budget",
        metavar="X",
        type=_positive,
        help="What trials may cost, in untreated runs. [default: 24]",
    ),
    click.option(
        "--time-budget",
        metavar="S",
        type=_positive,
        help="Seconds; a longer diagnosis is made on a prefix. [default: 3600]",
    ),
)
per_trial = _options(
    click.option(
        "--timeout", metavar="S", type=_positive, help="Seconds per trial. [default: 600]"
    ),
    click.option(
        "--max-steps", metavar="N", type=_count, help="Optimizer steps per trial at most."
    ),
    click.option(
        "--max-batches-per-epoch", metavar="N", type=_count, help="Batches of a DataLoader at most."
    ),
    click.option("--cpus", metavar="N", type=_count, help="Cores per trial. [default: 1]"),
    click.option(
        "--gpus", metavar="X", type=click.FloatRange(0), help="GPUs per trial. [default: 0]"
    ),
    click.option("--memory", type=Memory(), help="Memory per trial at most: 2GB, 512MiB, bytes."),
)
where_to_run = _options(
    click.option("--slots", metavar="N", type=_count, help="Trials at a time. [default: fitted]"),
    click.option("--address", metavar="URL", help="Ray cluster. [default: a local one]"),
    tracking_uri,
    click.option("--storage", metavar="URL", help="Database of the searches. [default: a file]"),
    click.option("--experiment", metavar="NAME", help="MLflow experiment. [default: agent]"),
    click.option("--resume", metavar="RUN_ID", help="Go on with a diagnosis that broke off."),
    click.option("--subject", metavar="RUN_ID", help="The MLflow run that it is about."),
)
what_to_show = _options(
    click.option("--json", "json_file", metavar="FILE", help="Write the diagnosis; - is stdout."),
    click.option("--patch", "patch_file", metavar="FILE", help="Write the fix as a unified diff."),
    click.option("--svg", "svg_file", metavar="FILE", help="Write the answer as a picture."),
    click.option("--observations", is_flag=True, help="Show what is too mild to matter, too."),
    click.option("-q", "--quiet", "detail", flag_value="quiet", help="Only the answer."),
    click.option("-v", "--verbose", "detail", flag_value="verbose", help="More progress lines."),
)


def build_request(
    script: str, args: tuple[str, ...], asked: dict[str, Any], directory: Path | None = None
) -> Request:
    """What the command line asks for, checked.

    Args:
        script: The script as the user named it.
        args: What the script gets.
        asked: The options by name; None and empty ones were not given.
        directory: The working directory; the current one by default.

    Raises:
        UsageError: Something that was asked for does not exist, or makes no sense.
    """
    path = check_script(script)
    asked = {name: value for name, value in asked.items() if value not in (None, ())}
    for name in ("only", "skip", "offer"):
        if name in asked:
            probes, remedies = registries()
            allowed = (remedies,) if name == "offer" else (probes, remedies)
            asked[name] = tuple(look_up(key, *allowed).code for key in asked[name])
    if "policy" in asked:
        asked["policy"] = _policy(asked["policy"])
    if "metric" in asked:
        asked["metric"], asked["mode"] = _metric(asked["metric"])
    _check_good(asked, args, path)
    from pydantic import ValidationError

    from agent.request import Request
    from agent.workload import Limits, Workload

    limits = {name: asked.pop(name) for name in Limits.model_fields if name in asked}
    try:
        workload = Workload(
            script=path, args=args, directory=directory or Path.cwd(), limits=Limits(**limits)
        )
        return Request(workload=workload, **asked)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][-1]).replace("_", "-")
        raise UsageError(f"--{option}: {first['msg'].lower()}") from error


def _check_good(asked: dict[str, Any], args: tuple[str, ...], script: Path) -> None:
    """Make arguments of ``--good``, and see to it that there is something to compare."""
    from agent.known_good import differing, split_arguments
    from remedies.revert_setting import RevertSetting

    if "good" in asked and "good_run" in asked:
        raise UsageError("--good and --good-run name two good configurations: give one of them")
    if "good" in asked:
        asked["good"] = split_arguments(asked["good"], script)
        differing(args, asked["good"], "--good")
    elif RevertSetting.code in asked.get("offer", ()) and "good_run" not in asked:
        raise UsageError(f"--try {RevertSetting.name} needs --good or --good-run")


def _policy(name: str) -> str:
    from agent.policies import policies
    from probes.registry import UnknownUnitError

    try:
        return policies[name].name
    except UnknownUnitError as error:
        raise UsageError(f"--policy: {error}") from error


def _metric(text: str) -> tuple[str, str | None]:
    name, colon, mode = text.rpartition(":")
    if not colon or mode.lower() not in ("min", "max"):
        name, mode = text, ""
    if not name.strip():
        raise UsageError("--metric needs a name: NAME, NAME:min or NAME:max")
    return name.strip(), mode.lower() or None
