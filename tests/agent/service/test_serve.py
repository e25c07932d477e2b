"""The real server with real workers, killed in the middle of a diagnosis."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from agent.diagnosis import read_diagnosis
from agent.ledger.client import connect
from agent.store import Store

SICK = """
import time
import torch

torch.manual_seed(0)
inputs = torch.randn(64, 8)
targets = inputs @ torch.randn(8, 1)
net = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=2.0)
for step in range(150):
    loss = torch.nn.functional.mse_loss(net(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    time.sleep(0.02)
    print(f"loss={loss.item()}", flush=True)
"""
_PATIENCE = 180.0

Serve = Callable[..., "Served"]


class Served:
    """A server process."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._log = (folder / "log").open("w+")
        command = "import sys; from agent.cli import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", command, "serve", "--root", str(folder / "root"), *options],
            env=os.environ | {"AGENT_HOME": str(folder / "home")},
            stderr=self._log,
            stdin=subprocess.DEVNULL,
        )
        self.url = self._wait_for(lambda: self._said(r"http://[\d.]+:\d+"))
        self._wait_for(lambda: self.get("/readyz").ok or None)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=30, **options)

    def submit(self, **asked: Any) -> str:
        answer = requests.post(f"{self.url}/v1/jobs", json={"observe": True, **asked}, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def events(self, job: str, after: int = 0) -> Iterator[tuple[int, str, Any]]:
        fields: dict[str, str] = {}
        headers = {"Last-Event-ID": str(after)}
        with self.get(f"/v1/jobs/{job}/events", headers=headers, stream=True) as stream:
            for line in stream.iter_lines(decode_unicode=True):
                name, colon, value = line.partition(": ")
                if name and colon:
                    fields[name] = value
                elif not line and "id" in fields:
                    yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                    fields = {}

    def end(self, number: signal.Signals) -> int:
        """End it; gives its exit code when nothing of it is left."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        code = self.process.wait(60)
        # Ray's own agents take their time to see that Ray is gone.
        left = [child for child in below if "Agent" not in _name(child)]
        _, alive = psutil.wait_procs(left, timeout=30)
        assert not [_name(child) for child in alive]
        return code

    def _said(self, pattern: str) -> str | None:
        self._log.seek(0)
        found = re.search(pattern, self._log.read())
        return found[0] if found else None

    def _wait_for(self, ask: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self._said(r"(?s).*")
            if (answer := ask()) is not None:
                return answer
            time.sleep(0.2)
        raise TimeoutError(self._said(r"(?s).*"))


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers: list[Served] = []
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "sick.py").write_text(SICK)

    def serve(*options: str) -> Served:
        servers.append(Served(tmp_path, *options))
        return servers[-1]

    yield serve
    for server in servers:
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_server_comes_back_with_its_queue(serve: Serve, tmp_path: Path) -> None:
    server = serve("--port", "0", "--workers", "1")
    first = server.submit(script="sick.py", metric="loss")
    second = server.submit(script="sick.py", metric="loss", limits={"max_steps": 20})
    seen = 0
    for seen, kind, _ in server.events(first):  # noqa: B007
        if kind == "trial-started":
            break
    assert server.end(signal.SIGKILL) == -signal.SIGKILL

    server = serve("--port", "0", "--workers", "1")
    *_, (_, kind, told) = server.events(first, after=seen)
    assert (kind, told["state"]) == ("state", "done"), told
    *_, (_, kind, told) = server.events(second)
    assert (kind, told["state"]) == ("state", "done"), told
    jobs = server.get("/v1/jobs").json()["jobs"]
    assert {job["id"]: job["attempts"] for job in jobs} == {first: 2, second: 1}
    diagnosis = read_diagnosis(server.get(f"/v1/jobs/{first}/diagnosis").text)
    assert diagnosis.verdict == "unresolved" and diagnosis.symptoms
    page = server.get(f"/v1/jobs/{first}/report").text
    assert diagnosis.symptoms[0].code in page and "<html" in page
    assert server.end(signal.SIGTERM) == 0

    client = connect(Store.locate(None, tmp_path / "home"))
    experiment = client.get_experiment_by_name("agent")
    assert experiment is not None
    for job in jobs:  # One record for each, whatever happened in between.
        runs = client.search_runs([experiment.experiment_id], f"tags.`agent.job` = '{job['id']}'")
        assert [run.info.run_id for run in runs] == [job["run_id"]]
        assert runs[0].info.status == "FINISHED"
