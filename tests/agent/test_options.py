"""The options: what they ask for, what they refuse, and that help and README tell the truth."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from agent.cli import cli, main
from agent.options import Memory
from agent.request import Request
from agent.workload import Limits

if TYPE_CHECKING:
    from tests.agent.conftest import FakeController

ROOT = Path(__file__).parents[2]


def test_without_options_the_request_has_its_own_defaults(controller: FakeController) -> None:
    assert main(["diagnose", "train.py"]) == 0
    here = Path.cwd()
    workload = {"script": here / "train.py", "directory": here}
    assert controller.request == Request.model_validate({"workload": workload})


def test_every_option_reaches_the_request(controller: FakeController) -> None:
    options = (
        "--metric val/loss:min --seeds 5 --seed-base 7 --budget 9.5 --timeout 30 --max-steps 100 "
        "--max-batches-per-epoch 8 --time-budget 90 "
        "--cpus 2 --gpus 0.5 --memory 2GB --only p101 --only swap-norm --skip R401 "
        "--try inject-noise --slots 3 --address ray://head:10001 --tracking-uri sqlite:///x.db "
        "--experiment mine --observe --resume abc123 --policy TPE --no-experience --fresh "
        "--storage sqlite:///y.db"
    )
    assert main(["diagnose", *options.split(), "train.py"]) == 0
    asked = controller.request
    limits = Limits(
        timeout=30, max_steps=100, max_batches_per_epoch=8, cpus=2, gpus=0.5, memory=2 * 10**9
    )
    assert asked.time_budget == 90
    assert asked.workload.limits == limits
    assert (asked.metric, asked.mode) == ("val/loss", "min")
    assert (asked.seeds, asked.seed_base, asked.budget, asked.slots) == (5, 7, 9.5, 3)
    assert asked.only == ("P101", "R101")
    assert asked.storage == "sqlite:///y.db"
    assert (asked.policy, asked.experience, asked.fresh) == ("tpe", False, True)
    assert (asked.skip, asked.offer) == (("R401",), ("R401",))
    assert (asked.address, asked.tracking_uri) == ("ray://head:10001", "sqlite:///x.db")
    assert (asked.experiment, asked.observe, asked.resume) == ("mine", True, "abc123")


def test_what_follows_the_script_is_its_own(controller: FakeController) -> None:
    own = ["--seeds", "99", "-v", "--help", "--", "x", "--json", "-"]
    assert main(["diagnose", "--seeds", "4", "train.py", *own]) == 0
    assert controller.request.workload.args == tuple(own)
    assert controller.request.seeds == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acc", ("acc", None)),
        ("acc:max", ("acc", "max")),
        ("val:loss", ("val:loss", None)),
        ("val:loss:MIN", ("val:loss", "min")),
    ],
)
def test_metric(controller: FakeController, text: str, expected: tuple[str, str | None]) -> None:
    assert main(["diagnose", "--metric", text, "train.py"]) == 0
    assert (controller.request.metric, controller.request.mode) == expected


def test_the_tracking_uri_of_the_environment_is_passed_on(
    controller: FakeController, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://store:5000")
    assert main(["diagnose", "train.py"]) == 0
    assert controller.request.tracking_uri == "http://store:5000"
    assert main(["diagnose", "--tracking-uri", "sqlite:///x.db", "train.py"]) == 0
    assert controller.request.tracking_uri == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 2**20),
        ("2GB", 2 * 10**9),
        ("512MiB", 512 * 2**20),
        ("1.5gib", 3 * 2**29),
        ("2g", 2**31),
        ("10 kB", 10_000),
        ("7B", 7),
    ],
)
def test_memory(text: str, size: int) -> None:
    assert Memory().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "GB", "2XB", "-1", "0", "1e9", "2ib", "nan"])
def test_memory_that_makes_no_sense(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Memory().convert(text, None, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "P999x", "train.py"], "no such code or name: 'P999x'"),
        (["--skip", "swap-nrom", "train.py"], "Did you mean swap-norm"),
        (["--policy", "rnked", "train.py"], "Did you mean ranked?"),
        (["--policy", "wise", "train.py"], "known: interactive, random, ranked, tpe"),
        (["--try", "P101", "train.py"], "no such code or name: 'P101'. Did you mean R101?"),
        (["--metric", ":max", "train.py"], "--metric needs a name"),
        (["--seeds", "1", "train.py"], "'--seeds': 1 is not in the range"),
        (["--budget", "nan", "train.py"], "--budget: "),
        (["--timeout", "0", "train.py"], "'--timeout'"),
        (["--memory", "2XB", "train.py"], "write 2GB, 512MiB or a number of bytes"),
        (["--sedes", "3", "train.py"], "See agent diagnose --help."),
        ([], "Missing argument 'SCRIPT'"),
    ],
)
def test_what_cannot_be_asked_is_one_line_before_anything_starts(
    controller: FakeController,
    complaint: Callable[[], str],
    arguments: list[str],
    said: str,
) -> None:
    assert main(["diagnose", *arguments]) == 2
    assert said in complaint()
    assert controller.requests == []


def test_the_defaults_in_the_help_are_those_of_the_request() -> None:
    text = help_text()
    for option, model, name in (
        ("seeds", Request, "seeds"),
        ("seed-base", Request, "seed_base"),
        ("budget", Request, "budget"),
        ("time-budget", Request, "time_budget"),
        ("experiment", Request, "experiment"),
        ("timeout", Limits, "timeout"),
        ("cpus", Limits, "cpus"),
        ("gpus", Limits, "gpus"),
    ):
        value = model.model_fields[name].default
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        assert re.search(rf"--{option} [^\[]*\[default: {shown}\]", text), option


def test_every_option_of_the_readme_exists_and_the_other_way_round() -> None:
    table = (ROOT / "README.md").read_text().split("## Options")[1].split("\n## ")[0]
    written = set(re.findall(r"`(--[a-z-]+)", table))
    offered = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_text())) - {"--help"}
    assert written == offered
    everywhere = (ROOT / "README.md").read_text()
    for command in re.findall(r"agent diagnose ([^`\n]*)", everywhere):
        ours = re.sub(r'"[^"]*"', "", command.partition(".py")[0])
        for option in re.findall(r"--[a-z-]+", ours):
            assert option in offered, command


def help_text() -> str:
    command = cli.commands["diagnose"]
    return command.get_help(click.Context(command, terminal_width=10_000, max_content_width=10_000))
