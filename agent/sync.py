"""`agent sync`: delivers what could not be recorded while MLflow was away."""

from __future__ import annotations

import click

from agent import options
from agent.errors import InfrastructureError
from agent.text import plain


@click.command("sync")
@options.tracking_uri
@click.option("--experiment", default="agent", metavar="NAME", help="[default: agent]")
def sync_command(tracking_uri: str | None, experiment: str) -> int:
    """Record the diagnoses that MLflow was away for, from the spool of the agent's home.

    Exit codes: 0 all is delivered, 4 something is not.
    """
    from agent.spool import deliver
    from agent.store import home

    problems = 0
    for delivery in deliver(home(), tracking_uri, experiment):
        if delivery.problem:
            problems += 1
            click.echo(f"{delivery.folder}: {plain(delivery.problem)}", err=True)
        else:
            click.echo(f"{delivery.folder.name}: MLflow run {delivery.run_id}")
    if problems:
        raise InfrastructureError(f"{problems} diagnoses are still in the spool")
    return 0
