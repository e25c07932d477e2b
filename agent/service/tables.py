"""The database of the service: its tables, and how it is opened."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from agent.database import without_password
from agent.errors import InfrastructureError, UsageError, first_line

_PATIENCE = 30.0  # seconds that a writer waits for another one
_PREFIX = "agent_service_"
_metadata = MetaData()
_number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up integers only.

JOBS = Table(
    f"{_PREFIX}jobs",
    _metadata,
    Column("number", _number, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("key", String(200), unique=True),
    Column("digest", String(64), nullable=False),
    Column("cpus", Integer, nullable=False),
    Column("gpus", Float, nullable=False),
    Column("submitted", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("attempts", Integer, nullable=False, default=0),
    Column("cancelling", Boolean, nullable=False, default=False),
    Column("owner", String(32)),
    Column("holder", Text),
    Column("lease", Float),
    Column("verdict", String(16)),
    Column("summary", Text, nullable=False, default=""),
    Column("run_id", String(64)),
    Column("error", Text),
    sqlite_autoincrement=True,
)
"""``owner`` tells one attempt from all others; ``holder`` is the identity of its process."""
EVENTS = Table(
    f"{_PREFIX}events",
    _metadata,
    Column("job", _number, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("data", Text, nullable=False),
)
RESULTS = Table(
    f"{_PREFIX}results",
    _metadata,
    Column("job", _number, primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
GATE = Table(f"{_PREFIX}gate", _metadata, Column("id", Integer, primary_key=True))
"""One row, locked by whoever counts the queue before adding to it."""


class Database:
    """A connection to the database of the service.

    Args:
        url: As SQLAlchemy takes it.

    Raises:
        UsageError: It is no such URL, or there is no driver for it.
        InfrastructureError: The database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._shown = without_password(url)
        try:
            parsed = make_url(url)
            self._sqlite = parsed.get_backend_name() == "sqlite"
            if self._sqlite:
                _make_file(parsed.database)
            remote = not self._sqlite  # A file is not away from one moment to the next.
            self._engine = create_engine(
                parsed, pool_size=20, max_overflow=40, pool_pre_ping=remote
            )
        except (ArgumentError, ImportError) as error:
            raise UsageError(f"--store {self._shown}: {first_line(error)}") from error
        except OSError as error:
            raise InfrastructureError(f"--store {self._shown}: {first_line(error)}") from error
        if self._sqlite:
            _tame(self._engine)
        self._make_tables()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; in SQLite the only one."""
        with self._engine.connect().execution_options(agent_writes=True) as connection:
            with connection.begin():
                yield connection

    def now(self, connection: Connection) -> float:
        """Unix time by the clock of the database, which is the same for all that share it."""
        if self._sqlite:
            return time.time()
        told = connection.scalar(select(func.extract("epoch", func.clock_timestamp())))
        return float(told or 0.0)

    def close(self) -> None:
        """End all connections."""
        self._engine.dispose()

    def _make_tables(self) -> None:
        for last in (False, True):
            try:
                with self.writing() as connection:
                    _metadata.create_all(connection)
                    if connection.scalar(select(GATE.c.id)) is None:
                        connection.execute(GATE.insert().values(id=1))
                return
            except SQLAlchemyError as error:  # Another server may have been faster.
                if last:
                    told = first_line(getattr(error, "orig", None) or error)
                    raise InfrastructureError(f"--store {self._shown}: {told}") from error


def _make_file(database: str | None) -> None:
    """Make the file readable for its owner alone: arguments may hold secrets."""
    if database in (None, "", ":memory:"):
        raise UsageError("--store must be a file or a server: workers are processes of their own")
    path = Path(str(database))
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _tame(engine: Engine) -> None:
    """Have SQLite let readers and one writer work at the same time, and wait for each other."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # Transactions begin where we say so, below.
        connection.execute(f"PRAGMA busy_timeout = {round(1000 * _PATIENCE)}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("agent_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
