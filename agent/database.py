"""Addresses of databases: how they are shown, and who may make the tables behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from agent.errors import InfrastructureError, UsageError

_CREDENTIALS = re.compile(r"://\S*@")  # Up to the last one: a password may have some of its own.
_PARAMETERS = re.compile(r"([?&]\w*password=)[^&\s]*")
_LOCK = 0x616765  # Any number that nobody else uses.
_PATIENCE = "60s"


def without_password(text: str) -> str:
    """A text as it may be shown, addresses in it included.

    >>> without_password("postgresql://me:se@cret@host/db")
    'postgresql://***@host/db'
    >>> without_password("no answer from postgresql://host/db?user=me&password=secret&sslmode=x")
    'no answer from postgresql://host/db?user=me&password=***&sslmode=x'
    """
    return _PARAMETERS.sub(r"\1***", _CREDENTIALS.sub("://***@", text))


def is_database(address: str) -> bool:
    """Whether it is the address of a PostgreSQL."""
    return address.startswith(("postgresql:", "postgresql+"))


def server_of(address: str) -> tuple[str, int] | None:
    """Host and port of a PostgreSQL; None where it is a socket of this machine.

    Raises:
        UsageError: That is no address.
        InfrastructureError: Nothing here can speak with it.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    shown = without_password(address)
    try:
        url = make_url(address)
        url.get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        raise InfrastructureError(
            f"{shown} needs {error.name}: pip install 'debugging-agent[postgresql]'"
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        raise UsageError(f"{shown} is no address: postgresql://USER@HOST/DATABASE is") from error
    if "@" in (url.host or ""):
        raise UsageError(f"{shown}: write an @ in a password as %40")
    return (url.host, url.port or 5432) if url.host else None


@contextmanager
def alone_with(address: str) -> Iterator[None]:
    """Held while tables may be made in a PostgreSQL: two who do so at once fail.

    Others it leaves alone. Raises what SQLAlchemy raises where it cannot be reached.
    """
    if not is_database(address):
        yield
        return
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    server_of(address)
    engine = create_engine(address, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{_PATIENCE}'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield
