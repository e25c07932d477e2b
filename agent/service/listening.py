"""What servers over HTTP share: where they listen, whom they let in, how they begin and end."""

from __future__ import annotations

import signal
import socket
from types import FrameType

import click
import uvicorn
from starlette.types import ASGIApp

from agent.errors import InfrastructureError, UsageError
from agent.service.security import TOKEN, is_loopback

_BACKLOG = 1024


def check_reach(asked: str, host: str, token: str | None) -> None:
    """Make sure that nobody comes in from outside without a token.

    Args:
        asked: The option that named the address, as it was given.
        host: The address.
        token: What clients must know; None: nothing.

    Raises:
        UsageError: Somebody could.
    """
    if token is None and not is_loopback(host):
        raise UsageError(f"{asked} can be reached from outside: give --token-file, or set ${TOKEN}")


def listen(host: str, port: int, dual: bool = False) -> socket.socket:
    """A socket on which clients wait from now on, rather than be refused.

    Args:
        host: Address to listen at.
        port: 0 for any that is free.
        dual: Whether an IPv6 address that stands for all is for IPv4, too.

    Raises:
        InfrastructureError: The address cannot be had.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listening.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        listening.bind((host.strip("[]"), port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        told = error.strerror or error
        raise InfrastructureError(f"cannot listen at {host}:{port}: {told}") from error
    return listening


def run(app: ASGIApp, listening: socket.socket, host: str, path: str, linger: int) -> None:
    """Say where, and serve until Ctrl-C or SIGTERM.

    Args:
        app: The application.
        listening: Where its clients wait.
        host: The address as it was asked for.
        path: Below which it answers.
        linger: Seconds that clients have for what they are reading when the server ends.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # Anybody could write them, and so get around the rate limit.
        server_header=False,
        timeout_graceful_shutdown=linger,
    )
    server = uvicorn.Server(config)

    def end(number: int, frame: FrameType | None) -> None:
        """End a server that is just starting; one that has ended in order raises it again."""
        server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    shown, port = f"[{host}]" if ":" in host else host, listening.getsockname()[1]
    click.echo(f"agent: serving http://{shown}:{port}{path}", err=True)
    server.run(sockets=[listening])
