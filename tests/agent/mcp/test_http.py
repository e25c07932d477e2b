"""MCP over HTTP: who may call, whose session it is, and what is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from agent.errors import InfrastructureError, UsageError
from agent.mcp.desk import Desk
from agent.mcp.http import make_app, serve
from agent.service.listening import listen
from agent.service.security import Access
from tests.agent.mcp.conftest import LOWER, Bench, Player

TOKEN = "0123456789abcdef"
Serve = Callable[..., str]


@pytest.fixture
def served() -> Iterator[Serve]:
    """Serves a desk on loopback; gives the address."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def begin(desk: Desk, token: str | None = None) -> str:
        listening = listen("127.0.0.1", 0)
        config = uvicorn.Config(
            make_app(desk, Access(token)), log_level="error", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"

    yield begin
    for server, thread in servers:
        server.should_exit = True
        thread.join()


def play(address: str, script: Any, mode: str, token: str | None = None) -> None:
    async def main() -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with anyio.fail_after(30):
            async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
                transport = streamable_http_client(address, http_client=http)
                async with Client(transport, mode=mode) as client:
                    await script(Player(client))

    anyio.run(main)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_it_is_the_same_session_over_http(bench: Bench, served: Serve, mode: str) -> None:
    address = served(bench.desk(shared=True), TOKEN)

    async def script(call: Player) -> None:
        handle = (await call("observe", script="train.py"))["session"]
        bench.worlds[0].endless = {0}
        with anyio.move_on_after(2.5):
            await call("try_treatment", treatment=[LOWER], session=handle)
        assert call.progress
        bench.worlds[0].endless = set()
        assert (await call("candidates", session=handle))["tried"] == []
        assert not bench.worlds[0].hanging
        assert (await call("try_treatment", treatment=[LOWER], session=handle))["recovers"]

    play(address, script, mode, TOKEN)

    async def other(call: Player) -> None:
        assert "another client" in await call.refused("observe", script="train.py")
        assert "name the session" in await call.refused("report")

    play(address, other, mode, TOKEN)


def test_who_does_not_know_the_token_learns_nothing(bench: Bench, served: Serve) -> None:
    address = served(bench.desk(shared=True), TOKEN)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        assert httpx2.post(address, json=asked, headers=headers).status_code == 401


def test_a_web_page_cannot_call(bench: Bench, served: Serve) -> None:
    address = served(bench.desk(shared=True))
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert httpx2.post(address, json={}, headers=headers).status_code in (400, 403, 421)


def test_what_others_can_reach_needs_a_token(bench: Bench) -> None:
    with pytest.raises(UsageError, match="from outside: give --token-file"):
        serve(bench.desk(), "0.0.0.0:0", None, 60)
    with pytest.raises(UsageError, match="write PORT"):
        serve(bench.desk(), "localhost", None, 60)
    with listen("127.0.0.1", 0) as taken, pytest.raises(InfrastructureError, match="cannot"):
        serve(bench.desk(), str(taken.getsockname()[1]), None, 60)


def test_a_session_that_nobody_calls_is_closed_and_recorded(bench: Bench) -> None:
    desk = bench.desk(shared=True)
    session = desk.open("train.py")
    assert session.observed.result(20)
    deadline = time.monotonic() + 20
    while session.busy and time.monotonic() < deadline:
        time.sleep(0.01)
    desk.close_idle(60)
    assert session.is_open
    desk.close_idle(0)
    assert not session.is_open
    assert [kept.verdict for kept in bench.book.kept] == ["unresolved"]
