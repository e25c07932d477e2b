"""`agent serve`: its options, and the server that they make."""

from __future__ import annotations

from typing import Any

import click

from agent import options
from agent.errors import UsageError
from agent.options import Memory

_positive = click.FloatRange(min=0, min_open=True)


@click.command("serve")
@click.option("--root", default=".", metavar="DIR", help="Run only scripts below it. [default: .]")
@click.option("--host", default="127.0.0.1", metavar="IP", help="Listen here. [default: 127.0.0.1]")
@click.option(
    "--port", default=8765, type=click.IntRange(0, 65535), help="At this port. [default: 8765]"
)
@click.option(
    "--token-file", metavar="FILE", help="What clients must know. [default: $AGENT_TOKEN]"
)
@click.option("--store", metavar="URL", help="Database of the queue. [default: a file]")
@click.option(
    "--queue", default=50, metavar="N", type=click.IntRange(1), help="May wait. [default: 50]"
)
@click.option(
    "--workers", metavar="N", type=click.IntRange(1), help="Diagnoses at a time. [default: fitted]"
)
@click.option(
    "--rate", default=50.0, metavar="X", type=_positive, help="Requests a second. [default: 50]"
)
@click.option(
    "--max-budget", default=100.0, metavar="X", type=_positive, help="Per diagnosis. [default: 100]"
)
@click.option(
    "--max-time", default=3600.0, metavar="S", type=_positive, help="Per diagnosis. [default: 3600]"
)
@click.option("--memory", type=Memory(), help="Per trial. [default: 80 % of the machine, shared]")
@click.option(
    "--env", multiple=True, metavar="NAME", help="Variable that scripts may see. Repeatable."
)
@click.option("--keep", default="30d", metavar="TIME", help="Forget jobs later. [default: 30d]")
@click.option("--triage-every", metavar="TIME", help="Sweep the MLflow store again and again: 6h.")
@click.option("--triage-cron", metavar="EXPR", help='Sweep at these times: "0 */4 * * *".')
@click.option(
    "--triage-options", default="", metavar="ARGS", help='Of the sweeps: "--since 7d --max-runs 3".'
)
@click.option("--address", metavar="URL", help="Ray cluster. [default: a local one]")
@options.tracking_uri
@click.option("--storage", metavar="URL", help="Database of the searches. [default: files]")
@click.option("--experiment", default="agent", metavar="NAME", help="MLflow experiment.")
def serve_command(**asked: Any) -> int:
    """Serve diagnoses over HTTP: submit, follow, cancel, fetch.

    Only scripts below --root are run. Without a token, only programs of this machine are served:
    any address but loopback needs one. Stop it with Ctrl-C: what runs is put back into the queue.

    The API is described at /v1/openapi.json, and in the README.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import sqlalchemy  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        told = f"agent serve needs {error.name}: pip install 'debugging-agent[serve]'"
        raise UsageError(told) from error
    from agent.service.server import serve

    return serve(asked)
