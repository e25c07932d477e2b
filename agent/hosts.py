"""Hosts of trials that outlive a launcher: a service starts Ray's actors and torch once.

Only a process that makes one diagnosis after the other keeps them; see `keeping_hosts`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from agent.inside.keeper import Keeper
from agent.places import Size

_REST_TIMEOUT = 15.0  # seconds

_spare: dict[Size, list[Any]] = {}
_keeps = False


@contextlib.contextmanager
def keeping_hosts() -> Iterator[None]:
    """Keep hosts for the next launcher of this process, for as long as the context is open."""
    global _keeps
    _keeps = True
    try:
        yield
    finally:
        _keeps = False
        end_spare_hosts()


def end_spare_hosts() -> None:
    """End the hosts that are kept: what they hold of Ray's resources is free for others then."""
    import ray

    for actors in _spare.values():
        for actor in actors:
            ray.kill(actor)
    _spare.clear()


def start_host(size: Size, *about: Any) -> Any:
    """An actor that runs trials: one that was kept, or a new one.

    Args:
        size: What is set aside for a trial.
        about: What `Keeper` is told.
    """
    import ray

    if any(other != size for other in _spare):
        end_spare_hosts()
    while _spare.get(size):
        actor = _spare[size].pop()
        # It may have died since.
        with contextlib.suppress(ray.exceptions.RayError, ray.exceptions.GetTimeoutError):
            ray.get(actor.renew.remote(*about), timeout=_REST_TIMEOUT)
            return actor
        ray.kill(actor)
    keeper: Any = ray.remote(Keeper)
    needs = {"memory": size.memory} if size.memory is not None else {}
    placed = {"num_cpus": size.cpus, "num_gpus": size.gpus, "scheduling_strategy": "SPREAD"}
    return keeper.options(**placed, **needs).remote(*about)


def end_hosts(size: Size, actors: list[Any], seconds: float) -> None:
    """End hosts with what they run, or keep them without it.

    Args:
        size: What was set aside for a trial.
        actors: The hosts.
        seconds: That they have to tidy up.
    """
    import ray

    kept: list[Any] = []
    with contextlib.suppress(ray.exceptions.RayError):
        ending = [actor.rest.remote() if _keeps else actor.close.remote() for actor in actors]
        if ending:
            ready, _ = ray.wait(ending, num_returns=len(ending), timeout=seconds)
            if _keeps and len(ready) == len(ending):
                ray.get(ready)
                kept = actors
    if kept:
        _spare.setdefault(size, []).extend(kept)
        return
    for actor in actors:
        ray.kill(actor)
