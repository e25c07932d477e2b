"""A diagnosis on a Ray cluster that is already there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TRAIN = """
import torch
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(60):
    loss = model(torch.randn(8, 3)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step} val_loss={loss.item():.4f}")
"""
JOBS = (
    "import ray, sys; ray.init(sys.argv[1], logging_level='ERROR'); from ray._private import state"
)
JOBS += "; print([job['Entrypoint'] for job in state.jobs()])"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.fixture
def cluster() -> Iterator[str]:
    """Address of a cluster of one node."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(
        prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        head = subprocess.Popen(
            [
                Path(sys.executable).parent / "ray",
                *("start", "--head", "--block", f"--port={port}", "--num-cpus=2"),
                *("--node-ip-address=127.0.0.1", "--include-dashboard=false"),
                f"--temp-dir={folder}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(port)
            yield f"127.0.0.1:{port}"
        finally:
            # Not "ray stop", which ends every other Ray of this machine, too.
            head.terminate()
            head.wait(30)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("the cluster does not start")


def test_the_cluster_that_ray_address_names_runs_the_trials(cluster: str, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    stores = {"AGENT_HOME": str(tmp_path / "home")}
    asked = [sys.executable, "-m", "agent", "diagnose", str(script)]
    answer = run(*asked, RAY_ADDRESS=cluster, **stores)
    assert answer.returncode == 0, answer.stderr
    assert "HEALTHY" in answer.stdout
    jobs = run(sys.executable, "-c", JOBS, cluster, RAY_AUTH_MODE="token")
    assert "agent diagnose" in jobs.stdout, jobs.stderr
