"""`agent mcp`: its options, and what they make."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent import options
from agent.errors import UsageError

if TYPE_CHECKING:
    from agent.mcp.desk import Desk

_SEEDS = 3
_INSTALL = "agent mcp needs the package mcp: pip install 'debugging-agent[mcp]'"


@click.command("mcp")
@click.option("--root", default=".", metavar="DIR", help="Run only scripts below it. [default: .]")
@click.option(
    "--budget",
    metavar="N",
    type=click.IntRange(1),
    default=24,
    help="Runs of the script that a session may make. [default: 24]",
)
@click.option(
    "--sessions",
    metavar="N",
    type=click.IntRange(1),
    default=100,
    help="Sessions that may be begun, one after the other. [default: 100]",
)
@click.option(
    "--seeds", metavar="N", type=click.IntRange(2, 50), help="Pairs that confirm. [default: 3]"
)
@click.option(
    "--time-budget",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds that the trials of a session may take. [default: 3600]",
)
@options.per_trial
@click.option("--slots", metavar="N", type=click.IntRange(1), help="Trials at a time.")
@click.option("--address", metavar="URL", help="Ray cluster. [default: a local one]")
@options.tracking_uri
@click.option("--experiment", metavar="NAME", help="MLflow experiment. [default: agent]")
@click.option(
    "--env", multiple=True, metavar="NAME", help="Variable that scripts may see. Repeatable."
)
@click.option("--http", metavar="[HOST:]PORT", help="Serve over HTTP. [default: stdin and stdout]")
@click.option(
    "--token-file", metavar="FILE", help="What HTTP clients must know. [default: $AGENT_TOKEN]"
)
@click.option(
    "--idle",
    metavar="S",
    type=click.FloatRange(min=1),
    default=1800.0,
    help="Over HTTP, end a session that nobody calls for so long. [default: 1800]",
)
def mcp_command(
    http: str | None, token_file: str | None, idle: float, env: tuple[str, ...], **asked: Any
) -> int:
    """Let language models debug trainings: a server of the Model Context Protocol.

    One client over stdin and stdout; several, one session at a time, over HTTP.
    """
    if http is None:
        from agent.mcp import stdio

        alive = stdio.detach()
        desk = make_desk(shared=False, **asked)
        _hide(env)
        stdio.serve(desk, alive)
        return 0
    desk = make_desk(shared=True, **asked)
    from agent.mcp.http import serve
    from agent.service.security import read_token

    token = read_token(token_file)
    _hide(env)
    return serve(desk, http, token, idle)


def make_desk(root: str, budget: int, sessions: int, shared: bool, **asked: Any) -> Desk:
    """The desk that the options make.

    Raises:
        UsageError: An option makes no sense, or the SDK is not installed.
    """
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise UsageError(_INSTALL)
    from agent.mcp.desk import Desk, Terms, least_budget

    folder = Path(root)
    if not folder.is_dir():
        raise UsageError(f"--root {root} is no folder")
    least = least_budget(asked["seeds"] or _SEEDS)
    if budget < least:
        raise UsageError(
            f"--budget {budget} is not enough to try, confirm and patch: give {least} or more"
        )
    return Desk(Terms(folder.resolve(), budget, sessions, asked, shared))


def _hide(names: tuple[str, ...]) -> None:
    """Keep from the scripts what they need not see of our environment."""
    from agent.triage.rerun import passed_on

    seen = passed_on(names, os.environ)
    for name in os.environ.keys() - seen.keys():
        del os.environ[name]
