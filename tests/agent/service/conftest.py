"""A service whose diagnoses are made up: the API, the queue and the worker are the real ones."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from agent.recorder.facts import process_identity
from agent.service.app import create_app
from agent.service.attempts import Attempts, Claim
from agent.service.queue import NewJob, Queue
from agent.service.security import Access
from agent.service.settings import Bounds, Settings
from agent.service.state import Service
from agent.service.tables import Database
from agent.service.work import Work
from agent.service.worker import Worker

# PostgreSQL by URL, to run the same tests on another database.
DATABASE = os.environ.get("AGENT_TEST_DATABASE")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(DATABASE or f"sqlite:///{tmp_path / 'service.db'}")
    if DATABASE:
        with database.writing() as connection:
            for table in ("jobs", "events", "results"):
                connection.exec_driver_sql(f"DELETE FROM agent_service_{table}")
    yield database
    database.close()


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database)


@pytest.fixture
def attempts(database: Database) -> Attempts:
    return Attempts(database)


@pytest.fixture
def take(attempts: Attempts) -> Callable[[], Claim | None]:
    """Claims a job for this process."""
    return lambda: attempts.claim(process_identity(os.getpid()), 2, 0.0)


@pytest.fixture
def put(queue: Queue) -> Callable[..., str]:
    """Puts a job into the queue; gives its name."""

    def put(most: int = 100, **job: Any) -> str:
        row, _ = queue.submit(NewJob("diagnosis", **job), most)
        return str(row.id)

    return put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "models").mkdir(parents=True)
    (root / "train.py").write_text("print('loss=1')\n")
    (root / "models" / "deep.py").write_text("print('loss=1')\n")
    (root / "broken.py").write_text("def f(:\n")
    (tmp_path / "secret.py").write_text("print('not for you')\n")
    (root / "link.py").symlink_to(tmp_path / "secret.py")
    (root / "way-out").symlink_to(tmp_path)
    return root


@dataclass
class MadeUpCrew:
    """Workers that are there, or not, as told."""

    settings: Settings
    ready: int = 1
    trouble: str = ""


@dataclass
class Running:
    """A service with its parts."""

    client: TestClient
    service: Service
    crew: MadeUpCrew
    worker: Worker
    attempts: Attempts
    access: Access
    _left: list[str] = field(default_factory=list)

    def submit(self, script: str = "train.py", **asked: Any) -> str:
        answer = self.client.post("/v1/jobs", json={"script": script, **asked})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def work(self) -> None:
        """Do the next job."""
        claim = self.attempts.claim(process_identity(os.getpid()), 2, 0.0)
        assert claim is not None
        self.worker.attempt(claim)


@pytest.fixture
def running(
    database: Database, root: Path, controller: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    monkeypatch.setenv("AGENT_HOME", str(root.parent / "home"))
    bounds = Bounds(root=root, cpus=2, memory=2**30, experiment=uuid.uuid4().hex)
    crew = MadeUpCrew(Settings(store="", address="local", bounds=bounds))
    service = Service(Queue(database), crew, most=3)
    access = Access(rate=1e6)
    attempts = Attempts(database)
    worker = Worker(attempts, Work(bounds, "local"), bounds)
    client = TestClient(
        create_app(service, access), base_url="http://127.0.0.1", raise_server_exceptions=False
    )
    yield Running(client, service, crew, worker, attempts, access)
