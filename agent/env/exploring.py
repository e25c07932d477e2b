"""Fills a recording: takes every action that there is, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np


def explore(env: gymnasium.Env[Any, Any], seeds: Iterable[int] = (0,), depth: int = 1) -> int:
    """Take every sequence of actions up to a length, from the untreated run of each seed on.

    What is better than the untreated run is stopped at, so that its confirmation is recorded, too.

    Args:
        env: The environment, made with ``record=FILE`` and a budget that is large enough.
        seeds: Where to begin.
        depth: Remedies on top of each other, at most.

    Returns:
        How many sequences were taken.
    """
    taken = 0
    for seed in seeds:
        waiting: list[tuple[int, ...]] = [()]
        while waiting:
            path = waiting.pop(0)
            recovered, over, mask = _walk(env, seed, path)
            taken += bool(path)
            if over:
                continue
            if recovered > 0:
                env.step(0)
            if len(path) < depth:
                remedies = range(1, 1 + len(mask) // 2)
                waiting += [(*path, action) for action in remedies if mask[action]]
    return taken


def _walk(
    env: gymnasium.Env[Any, Any], seed: int, path: tuple[int, ...]
) -> tuple[float, bool, np.ndarray[Any, Any]]:
    """Go a path; tells what it recovers, whether it is over, and what can be done from there."""
    observation, info = env.reset(seed=seed)
    over = False
    for action in path:
        observation, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    return float(observation["recovered"][0]), over, info["action_mask"]
