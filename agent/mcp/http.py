"""Serving several clients over HTTP, one session at a time."""

from __future__ import annotations

import signal
import socket
import threading
from types import FrameType

import click
import uvicorn
from starlette.types import ASGIApp

from agent.errors import InfrastructureError, UsageError
from agent.mcp.desk import Desk
from agent.mcp.server import make_server
from agent.service.security import TOKEN, Access, Guard, is_loopback

_PATH = "/mcp"
_LOOK = 1.0
_LINGER = 5


def make_app(desk: Desk, access: Access) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        desk: Opens its sessions.
        access: Who may ask.
    """
    app = make_server(desk).streamable_http_app(streamable_http_path=_PATH, host=access.host)
    return Guard(app, access)


def serve(desk: Desk, where: str, token: str | None, idle: float) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        desk: Opens the sessions.
        where: ``PORT`` or ``HOST:PORT``.
        token: What clients must know; None: nothing, on loopback only.
        idle: Seconds after which a session that nobody calls is closed.

    Raises:
        UsageError: The address makes no sense, or is open to others without a token.
        InfrastructureError: It cannot be had.
    """
    host, port = read_address(where)
    if token is None and not is_loopback(host):
        raise UsageError(
            f"--http {where} can be reached from outside: give --token-file, or set ${TOKEN}"
        )
    listening = _listen(host, port)
    config = uvicorn.Config(
        make_app(desk, Access(token, host)),
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_LINGER,
    )
    server = uvicorn.Server(config)

    def end(number: int, frame: FrameType | None) -> None:
        """End a server that is just starting; one that has ended in order raises it again."""
        server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    ended = threading.Event()
    watcher = threading.Thread(target=_close_idle, args=(desk, idle, ended), daemon=True)
    watcher.start()
    shown, port = f"[{host}]" if ":" in host else host, listening.getsockname()[1]
    click.echo(f"agent: serving http://{shown}:{port}{_PATH}", err=True)
    server.run(sockets=[listening])
    ended.set()
    return 0


def read_address(where: str) -> tuple[str, int]:
    """Host and port of an address.

    >>> read_address("8000"), read_address("0.0.0.0:80"), read_address("[::1]:0")
    (('127.0.0.1', 8000), ('0.0.0.0', 80), ('::1', 0))

    Raises:
        UsageError: It is none.
    """
    host, _, port = where.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--http {where}: write PORT or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        told = error.strerror or error
        raise InfrastructureError(f"cannot listen at {host}:{port}: {told}") from error


def _close_idle(desk: Desk, idle: float, ended: threading.Event) -> None:
    while not ended.wait(_LOOK):
        desk.close_idle(idle)
