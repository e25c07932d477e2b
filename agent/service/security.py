"""Who may ask, how often and how much; everything here is decided before a request is read."""

from __future__ import annotations

import hmac
import ipaddress
import math
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.errors import UsageError

TOKEN = "AGENT_TOKEN"
"""Environment variable with the token."""
OPEN = ("/healthz", "/readyz")
"""What a load balancer asks, which has no token; it learns nothing there."""
_SHORTEST_TOKEN = 16
_LONGEST_PATH = 2048
_MOST_CLIENTS = 10_000
_BURST = 2.0  # seconds' worth of requests


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can connect to an address.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("box")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_token(file: str | None) -> str | None:
    """The token of a file, or else of the environment, out of which it is taken.

    Raises:
        UsageError: The file cannot be read, others may read it, or the token is too short.
    """
    told = os.environ.pop(TOKEN, None)
    source = f"${TOKEN}"
    if file is not None:
        source = f"--token-file {file}"
        try:
            if stat.S_IMODE(Path(file).stat().st_mode) & 0o077:
                raise UsageError(f"{source} can be read by others: chmod 600 {file}")
            told = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{source} cannot be read: {error}") from error
    if told is None:
        return None
    token = told.strip()
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise UsageError(
            f"{source} must hold at least {_SHORTEST_TOKEN} printable characters: "
            "openssl rand -hex 32 makes a good one"
        )
    return token


@dataclass
class Access:
    """Who may ask, and how often.

    Attributes:
        token: What a client has to know; None: nothing.
        host: Address that the server listens on.
        rate: Requests a second from one address.
        clock: Seconds; replaced in tests.
    """

    token: str | None = None
    host: str = "127.0.0.1"
    rate: float = 50.0
    clock: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def refusal(self, path: bytes, headers: Headers, client: str) -> _Refusal | None:
        """Why a request is not answered; None where it is.

        Args:
            path: With the query, as it was sent.
            headers: Of the request.
            client: Address that it comes from.
        """
        if len(path) > _LONGEST_PATH:
            return _Refusal(414, f"the address has more than {_LONGEST_PATH} characters")
        wait = self._wait(client)
        if wait:
            told = f"more than {self.rate:g} requests a second: slow down"
            return _Refusal(429, told, {"Retry-After": str(math.ceil(wait))})
        name = path.partition(b"?")[0].decode("ascii", "replace")
        if self.token is not None and name not in OPEN and not self._knows(headers):
            told = "this needs the header Authorization: Bearer TOKEN"
            return _Refusal(401, told, {"WWW-Authenticate": "Bearer"})
        return self._foreign(headers)

    def _knows(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Bytes: what is not ASCII cannot be compared as text.
        same = hmac.compare_digest(given.strip().encode(), (self.token or "").encode())
        return same and scheme.lower() == "bearer"

    def _foreign(self, headers: Headers) -> _Refusal | None:
        """Keep out web pages: a browser on this machine reaches loopback for any of them."""
        host = headers.get("host", "")
        if self.token is None and not is_loopback(_name(host)) and _name(host) != self.host:
            return _Refusal(400, "the header Host does not name this server")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return _Refusal(403, "no answer for web pages of other servers")
        return None

    def _wait(self, client: str) -> float:
        """Seconds until the client may ask again; zero where it may now."""
        now, most = self.clock(), max(1.0, self.rate * _BURST)
        left, then = self._left.get(client, (most, now))
        left = min(most, left + (now - then) * self.rate)
        allowed = left >= 1.0
        if len(self._left) >= _MOST_CLIENTS:
            self._left.clear()
        self._left[client] = (left - allowed, now)
        return 0.0 if allowed else (1.0 - left) / self.rate


@dataclass(frozen=True)
class _Refusal:
    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


class Guard:
    """Middleware that lets through what `Access` allows."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            path = _sent_path(scope)
            client = scope["client"][0] if scope.get("client") else ""
            refusal = self._access.refusal(path, Headers(scope=scope), client)
            if refusal is not None:
                told = {"detail": refusal.detail}
                answer = JSONResponse(told, refusal.status, headers=refusal.headers)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _sent_path(scope: Scope) -> bytes:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return b"?".join(filter(None, (path, scope["query_string"])))


def _name(host: str) -> str:
    """The host of a Host header, without its port.

    >>> _name("[::1]:80"), _name("localhost:8080"), _name("127.0.0.1")
    ('::1', 'localhost', '127.0.0.1')
    """
    return (host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]).strip("[")
