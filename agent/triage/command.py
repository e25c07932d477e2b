"""`agent triage`: its options, and what they make."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent import options
from agent.errors import UsageError
from agent.options import Memory

if TYPE_CHECKING:
    from agent.triage.loop import Office
    from agent.triage.rerun import Terms
    from agent.triage.scan import Selection

_positive = click.FloatRange(min=0, min_open=True)


@click.command("triage")
@click.option("--once", is_flag=True, help="Sweep once and end: for cron and timers. [default]")
@click.option("--every", metavar="TIME", help="Sweep again and again: 15m, 6h.")
@click.option("--cron", metavar="EXPR", help='Sweep at these times: "0 */4 * * *", @hourly.')
@click.option("--dry-run", is_flag=True, help="Show what would be done and why; change nothing.")
@click.option(
    "--experiment", multiple=True, metavar="NAME", help="Look here. Repeatable. [default: all]"
)
@click.option("--since", metavar="AGE", help="Only runs started within this time: 7d.")
@click.option("--tag", multiple=True, metavar="KEY=VALUE", help="Only runs with it. Repeatable.")
@click.option("--where", default="", metavar="COND", help='Also sick: "metrics.val_acc < 0.5".')
@click.option(
    "--stale-after", default="6h", metavar="TIME", help="Silence of a dead run. [default: 6h]"
)
@click.option("--max-runs", metavar="N", type=click.IntRange(1), help="Diagnoses per sweep.")
@click.option("--sweep-budget", metavar="TIME", help="No diagnosis begins after this time: 2h.")
@click.option("--budget", metavar="X", type=_positive, help="Per run: see agent diagnose.")
@click.option("--time-budget", metavar="S", type=_positive, help="Per run: see agent diagnose.")
@click.option("--timeout", metavar="S", type=_positive, help="Per trial. [default: 3 x the run]")
@click.option("--max-steps", metavar="N", type=click.IntRange(1), help="Per trial.")
@click.option("--memory", type=Memory(), help="Per trial. [default: 80 % of the machine]")
@click.option("--seeds", metavar="N", type=click.IntRange(2, 50), help="Pairs that confirm.")
@click.option("--slots", metavar="N", type=click.IntRange(1), help="Trials at a time.")
@click.option("--address", metavar="URL", help="Ray cluster. [default: a local one]")
@click.option("--root", default=".", metavar="DIR", help="Run only scripts below it. [default: .]")
@click.option("--python", metavar="FILE", help="Interpreter of the scripts. [default: ours]")
@click.option(
    "--env", multiple=True, metavar="NAME", help="Variable that scripts may see. Repeatable."
)
@click.option("--notify", metavar="CMD|URL", help="Tell of each diagnosis, in JSON.")
@options.tracking_uri
@click.option("--record-in", default="agent", metavar="NAME", help="Experiment of the diagnoses.")
@click.option("--log", metavar="FILE", help="A line per sweep. [default: triage.log of the home]")
@click.option("-q", "--quiet", is_flag=True, help="Only the table and the last line.")
def triage_command(
    once: bool, every: str | None, cron: str | None, dry_run: bool, **asked: Any
) -> int:
    """Find the MLflow runs that need help, diagnose them, and write down what was found.

    Runs that FAILED, were KILLED, died while RUNNING, or FINISHED sick. They are run again as they
    were started, where that is known; see the README on what may be run.

    Exit codes: 0 nothing needs help, 1 something does, 2 usage, 4 something that we stand on fails.
    """
    if sum((once, every is not None, cron is not None, dry_run)) > 1:
        raise UsageError("--once, --every, --cron and --dry-run exclude each other")
    from datetime import datetime

    from agent.triage import schedule
    from agent.triage.loop import terminated_as_interrupted

    now = datetime.now().astimezone()
    times = schedule.cron(cron, now) if cron else None
    if every:
        times = schedule.every(schedule.seconds(every), now)
    with terminated_as_interrupted():
        office = _office(**asked)
        if dry_run:
            return office.show_plan()
        if times is None:
            return office.sweep()
        office.sweep_at(times)
    return 0


def _office(
    experiment: tuple[str, ...],
    record_in: str,
    root: str,
    max_runs: int | None,
    sweep_budget: str | None,
    notify: str | None,
    log: str | None,
    quiet: bool,
    tracking_uri: str | None,
    **asked: Any,
) -> Office:
    from agent.store import home
    from agent.triage import schedule
    from agent.triage.case_work import Desk
    from agent.triage.loop import Office
    from agent.triage.notify import Notifier
    from agent.triage.sweep import Plan
    from agent.triage.tracking import open_tracking

    folder = Path(root)
    if not folder.is_dir():
        raise UsageError(f"--root {root} is no folder")
    selection, environment = _selection(**asked), asked["env"]
    notifier = Notifier(notify, environment) if notify else None
    tracking = open_tracking(tracking_uri, home())
    terms = _terms(tracking.store.uri, record_in, **asked)
    tracking.experiments(experiment, record_in)  # They must be there from the beginning.
    most = schedule.seconds(sweep_budget) if sweep_budget else None
    plan = Plan(experiment, selection, max_runs, most)
    desk = Desk(tracking, terms, folder.resolve())
    return Office(desk, plan, notifier, Path(log) if log else home() / "triage.log", quiet)


def _selection(
    since: str | None, tag: tuple[str, ...], where: str, stale_after: str, **others: Any
) -> Selection:
    from agent.triage import schedule
    from agent.triage.scan import Selection

    pairs = []
    for word in tag:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise UsageError(f"--tag {word!r} is no KEY=VALUE")
        pairs.append((name, value))
    age = schedule.seconds(since) if since else None
    return Selection(age, tuple(pairs), where, schedule.seconds(stale_after))


def _terms(
    tracking_uri: str,
    record_in: str,
    python: str | None,
    env: tuple[str, ...],
    memory: int | None,
    **asked: Any,
) -> Terms:
    import psutil

    from agent.cluster import address_of
    from agent.triage.rerun import Terms

    names = ("budget", "time_budget", "timeout", "max_steps", "seeds", "slots", "address")
    options = {name.replace("_", "-"): asked[name] for name in names if asked[name] is not None}
    here = address_of(asked["address"]) == "local"  # The memory of other machines is not known.
    if memory or here:
        options["memory"] = memory or int(0.8 * psutil.virtual_memory().total)
    # A diagnosis may take its time for the trials; much more than that, and it hangs.
    longest = 2 * (asked["time_budget"] or 3600.0)
    told = {name: str(value) for name, value in options.items()}
    return Terms(tracking_uri, record_in, python or sys.executable, env, told, longest)
