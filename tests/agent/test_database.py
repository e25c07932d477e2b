"""Addresses of databases, and one at a time where tables may be made."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from agent.database import alone_with, server_of
from agent.errors import InfrastructureError, UsageError
from tests.engines import Postgres


def test_where_a_server_is() -> None:
    assert server_of("postgresql://me:a%40b/c@db:6000/x") == ("db", 6000)
    assert server_of("postgresql+psycopg://db/x") == ("db", 5432)
    assert server_of("postgresql:///x?host=/run/postgresql") is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://me:se@cret@db/x", r"postgresql://\*\*\*@db/x: write an @ .* as %40"),
        ("postgresql:db", "postgresql:db is no address"),
        ("postgresql://me:secret@db:port/x", r"postgresql://\*\*\*@db:port/x is no address"),
    ],
)
def test_what_is_no_address(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        server_of(address)


def test_a_driver_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InfrastructureError, match=r"needs psycopg: pip install .*\[postgresql\]"):
        server_of("postgresql://db/x")


@pytest.mark.slow
@pytest.mark.xdist_group("engines")
def test_one_at_a_time(postgres: Postgres) -> None:
    address = postgres.url("postgres")
    inside: list[str] = []

    def enter() -> None:
        with alone_with(address):
            inside.append("in")
            time.sleep(0.3)
            inside.append("out")

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == ["in", "out"] * 3


@pytest.mark.slow
@pytest.mark.xdist_group("engines")
def test_an_error_inside_leaves_it_free(postgres: Postgres) -> None:
    with pytest.raises(KeyError), alone_with(postgres.url("postgres")):
        raise KeyError
    with alone_with(postgres.url("postgres")):
        pass


def test_others_are_left_alone() -> None:
    with alone_with("http://127.0.0.1:9"), alone_with("sqlite:///nowhere/x.db"):
        pass
