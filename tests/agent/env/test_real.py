"""The environment over real trials: the engine of the controller, and one Ray for several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import agent.env  # noqa: F401  # Registers the versions.
from agent.diagnosis import Diagnosis
from agent.env.catalogue import VERSIONS

pytestmark = pytest.mark.slow

TRAIN = """
    import torch
    torch.manual_seed(0)
    inputs = torch.randn(256, 6)
    targets = inputs @ torch.randn(6, 1) + 0.3 * torch.randn(256, 1)
    model = torch.nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(10):
        for rows in torch.randperm(200).split(25):
            loss = torch.nn.functional.mse_loss(model(inputs[rows]), targets[rows])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            error = torch.nn.functional.mse_loss(model(inputs[200:]), targets[200:]).item()
        print(f"epoch {epoch} loss={loss.item():.4f} val_loss={error:.4f}")
"""
CLEAR = 1 + VERSIONS[0].remedies.index("R801")


@pytest.fixture
def script(write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write("train.py", TRAIN)
    monkeypatch.chdir(path.parent)
    return path


def test_by_hand_it_comes_to_the_same_fix_as_the_controller(
    diagnosed: Callable[..., Diagnosis], script: Path
) -> None:
    fix = diagnosed(script, patch=False).fix
    assert fix is not None and fix.patch is None
    env = gymnasium.make("agent/Diagnose-v5", script=str(script))
    _, info = env.reset(seed=0)
    assert "P801" in [symptom["code"] for symptom in info["symptoms"]]
    _, reward, terminated, _, info = env.step(CLEAR)
    env.close()
    assert terminated and reward > 1
    assert info["fix"] == [action.model_dump() for action in fix.treatment]


def test_two_play_at_once_on_one_ray(cluster: str, script: Path) -> None:
    envs = gymnasium.make_vec(
        "agent.env:agent/Diagnose-v5",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={"context": "spawn"},
        script=str(script),
        address=cluster,
    )
    envs.reset(seed=0)
    observations, rewards, terminated, _, infos = envs.step(np.array([CLEAR, 0]))
    envs.close()
    assert list(terminated) == [True, True]
    assert observations["recovered"][0] > 0 == observations["recovered"][1]
    assert rewards[0] > 1 > rewards[1]
