"""A diagnosis on a Ray cluster that is already there."""

from __future__ import annotations

import os
import subprocess
import sys
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
        timeout=300,
        env={**os.environ, **environment},
    )


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
