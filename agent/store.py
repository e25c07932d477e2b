"""Where MLflow keeps its runs: which store, and whether it is there at all."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.database import alone_with, is_database, server_of, without_password
from agent.errors import AgentError, InfrastructureError, first_line

_PATIENCE = 3.0  # seconds until a server that does not answer is not there
_SQLITE = "sqlite:///"
_PORTS = {"http": 80, "https": 443, "mysql": 3306, "mssql": 1433}


def home() -> Path:
    """Folder of the embedded stores: ``$AGENT_HOME``, or ``~/.agent``."""
    return Path(os.environ.get("AGENT_HOME") or "~/.agent").expanduser().resolve()


@dataclass(frozen=True)
class Store:
    """An MLflow tracking store.

    Attributes:
        uri: Its tracking URI.
        artifacts: Where artifacts of new experiments go; None where a server decides that.
    """

    uri: str
    artifacts: str | None

    @classmethod
    def locate(cls, tracking_uri: str | None, directory: Path) -> Store:
        """The store of a tracking URI, or the one of the directory when there is no URI.

        MLflow would put artifacts under the current directory of whoever asks; here they lie next
        to an SQLite database, and in the directory for any other one.
        """
        directory = directory.expanduser().resolve()
        uri = tracking_uri or f"{_SQLITE}{directory / 'mlflow.db'}"
        if uri.startswith(_SQLITE):
            database = Path(uri.removeprefix(_SQLITE)).expanduser().resolve()
            uri, directory = f"{_SQLITE}{database}", database.parent
        served = uri.startswith(("http:", "https:", "databricks"))
        return cls(uri, None if served else (directory / "mlartifacts").as_uri())

    @property
    def shown(self) -> str:
        """The URI without a password."""
        return without_password(self.uri)

    @property
    def database(self) -> Path | None:
        """Its SQLite file, where it is one."""
        local = self.uri.startswith(_SQLITE)
        return Path(self.uri.removeprefix(_SQLITE)) if local else None

    @contextmanager
    def first_use(self) -> Iterator[None]:
        """Held while the store is opened: two who make a database at once spoil it, or fail.

        Raises:
            InfrastructureError: The database cannot be reached.
        """
        if self.database is None:
            with ExitStack() as stack:
                try:
                    stack.enter_context(alone_with(self.uri))
                except AgentError:
                    raise
                except Exception as error:
                    raise self.failure(first_line(error)) from error
                yield
            return
        folder = os.open(self.database.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def check(self) -> None:
        """Make sure within seconds that the store can be used.

        Raises:
            InfrastructureError: It cannot.
        """
        if self.database is not None:
            _check_writable(self.database)
            return
        if is_database(self.uri):
            server = server_of(self.uri)
            if server is not None:
                self._check_reachable(*server)
            return
        parts = urlsplit(self.uri)
        if parts.scheme in ("", "file"):
            raise InfrastructureError(
                f"MLflow no longer writes to the folder {self.shown}: "
                "give a server or a database, such as --tracking-uri sqlite:///mlflow.db"
            )
        port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
        if parts.hostname and port:
            self._check_reachable(parts.hostname, port)

    def failure(self, reason: str) -> InfrastructureError:
        """What to raise when MLflow fails, without a password."""
        return InfrastructureError(f"MLflow at {self.shown} failed: {without_password(reason)}")

    def _check_reachable(self, host: str, port: int) -> None:
        try:
            socket.create_connection((host, port), timeout=_PATIENCE).close()
        except OSError as error:
            raise InfrastructureError(
                f"no MLflow server answers at {self.shown} ({error}): "
                "start it, or leave --tracking-uri out to record locally"
            ) from error


def _check_writable(database: Path) -> None:
    """Raises InfrastructureError unless the database can be made or written."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(f"cannot make the folder of {database}: {error}") from error
    if not os.access(database.parent, os.W_OK) or (
        database.exists() and not os.access(database, os.W_OK)
    ):
        raise InfrastructureError(f"the MLflow store {database} is not writable")
    if database.is_dir():
        raise InfrastructureError(f"the MLflow store {database} is a folder, not a database")
