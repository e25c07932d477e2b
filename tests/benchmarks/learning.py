"""Trains an agent on the replay of a workload, and compares it with the default policy.

python -m tests.benchmarks.learning accumulated_gradients    # records it first: every action once

Needs stable-baselines3 (the extra ``learn``). Costs are in runs of the untreated script, until the
fix is confirmed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import gymnasium

import agent.env  # noqa: F401  # Registers the versions.
from agent.env.exploring import explore
from tests.corpus import load
from tests.corpus.command import diagnose

_ID = "agent/Diagnose-v5"


@click.command()
@click.option("--steps", default=20_000, help="Steps of the learner.")
@click.option("--folder", default="replays", type=Path, help="Where the recordings are kept.")
@click.argument("name")
def main(name: str, steps: int, folder: Path) -> None:
    """Print what both spend on the workload NAME."""
    from stable_baselines3 import PPO

    (sick,) = [sick for sick in load() if sick.name == name]
    folder.mkdir(exist_ok=True)
    replay = folder / f"{name}.zip"
    if not replay.exists():
        env = gymnasium.make(_ID, script=str(sick.script), args=sick.args, budget=1000,
                             record=str(replay))  # fmt: skip
        click.echo(f"recorded {explore(env)} actions in {replay}", err=True)
        env.close()
    env = gymnasium.make(_ID, replay=str(replay))
    begun = time.perf_counter()
    model = PPO("MultiInputPolicy", env, n_steps=256, batch_size=64, ent_coef=0.01, seed=0)
    model.learn(steps)
    rate = steps / (time.perf_counter() - begun)
    fixed, spent = _play(env, model)
    answer = diagnose(sick.script, sick.args, 0, "--no-experience")
    click.echo("| player | fixed | runs |\n|---|---|---|")
    click.echo(f"| PPO after {steps} steps ({rate:.0f} a second) | {fixed} | {spent:.1f} |")
    click.echo(
        f"| ranked | {answer['verdict'] == 'fixed'} | {answer['cost']['baseline_equivalents']} |"
    )


def _play(env: gymnasium.Env[Any, Any], model: Any) -> tuple[bool, float]:
    """One episode of the trained agent: whether it confirmed a fix, and what it spent."""
    observation, info = env.reset(seed=0)
    over = False
    while not over:
        action, _ = model.predict(observation, deterministic=True)
        observation, _, terminated, truncated, info = env.step(int(action))
        over = terminated or truncated
    return info["fix"] is not None, info["spent"]


if __name__ == "__main__":
    main()
