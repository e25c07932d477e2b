"""Real engines for the tests: a throw-away PostgreSQL, and an MLflow server on it."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.inside.isolation import die_with_parent

PASSWORD = "unsaid-" + secrets.token_hex(8)
"""Of the database; must be found nowhere but in its address."""
_PATIENCE = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_there: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait for a server that was just started."""
    deadline = time.monotonic() + _PATIENCE
    while not is_there():
        if process.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError(f"{process.args} does not start")
        time.sleep(0.1)


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL server."""

    port: int

    def database(self, name: str) -> str:
        """The address of a new database."""
        with self.connected("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://tester:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def connected(self, name: str) -> Any:
        import psycopg

        return psycopg.connect(self.url(name), autocommit=True)


def _programs() -> Path | None:
    """The folder of PostgreSQL's server programs, the newest where there are several."""
    asked = shutil.which("pg_config")
    told = subprocess.run([asked, "--bindir"], capture_output=True, text=True) if asked else None
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parts[-2])
    folders = [*([Path(told.stdout.strip())] if told else []), *reversed(debian)]
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def _account() -> dict[str, Any]:
    """As whom it runs: it refuses to be root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL cannot run as root, and there is no other account")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server with a password, on a port of its own."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    account, port = _account(), free_port()
    # Not below pytest's folder, which other accounts cannot enter.
    with tempfile.TemporaryDirectory(prefix="agent-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if account:
            for path in (folder, folder / "password"):
                os.chown(path, account["user"], account["group"])
        options = {"cwd": folder, "env": {"LC_ALL": "C"}, "stderr": subprocess.DEVNULL, **account}
        initialise = ("--username=tester", "--auth=scram-sha-256", "--pwfile=password")
        subprocess.run(
            [programs / "initdb", "--pgdata=data", "--encoding=UTF8", "--no-sync", *initialise],
            stdout=subprocess.DEVNULL,
            check=True,
            **options,
        )
        process = subprocess.Popen(
            [programs / "postgres", *("-D", "data", "-h", "127.0.0.1", "-k", name, "-F")]
            + ["-p", str(port)],
            preexec_fn=die_with_parent,
            **options,
        )
        server = Postgres(port)
        try:
            wait_until(lambda: _answers(server), process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # Ends it without waiting for its clients.
            process.wait(30)


def _answers(server: Postgres) -> bool:
    import psycopg

    try:
        server.connected("postgres").close()
    except psycopg.OperationalError:
        return False
    return True


class MlflowServer:
    """An `mlflow server` that can be killed, and started again where it was.

    Args:
        database: Address of its database.
        folder: For its artifacts and its log.
    """

    def __init__(self, database: str, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._database = database
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        ours = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        where = ("--host=127.0.0.1", f"--port={self.port}", "--workers=1")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).parent / "mlflow", "server", *where]
                + [f"--artifacts-destination={self._folder / 'artifacts'}"],
                env={**os.environ, "MLFLOW_BACKEND_STORE_URI": self._database, **ours},
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        wait_until(self._answers, self._process)

    def kill(self) -> None:
        """End it with its workers, at once and without a word."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="session")
def mlflow_server(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """An MLflow server that keeps its runs in PostgreSQL."""
    server = MlflowServer(postgres.database("mlflow"), tmp_path_factory.mktemp("mlflow-server"))
    try:
        server.start()
        yield server
    finally:
        server.kill()
