"""Serving several clients over HTTP, one session at a time."""

from __future__ import annotations

import threading

from starlette.types import ASGIApp

from agent.errors import UsageError
from agent.mcp.desk import Desk
from agent.mcp.server import make_server
from agent.service.listening import check_reach, listen, run
from agent.service.security import Access, Guard

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
    check_reach(f"--http {where}", host, token)
    listening = listen(host, port)
    app = make_app(desk, Access(token, host))
    ended = threading.Event()
    watcher = threading.Thread(target=_close_idle, args=(desk, idle, ended), daemon=True)
    watcher.start()
    run(app, listening, host, _PATH, _LINGER)
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


def _close_idle(desk: Desk, idle: float, ended: threading.Event) -> None:
    while not ended.wait(_LOOK):
        desk.close_idle(idle)
