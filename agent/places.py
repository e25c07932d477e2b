"""What a trial needs, and how many fit on the nodes of the Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import InfrastructureError

_GIB = 2**30


@dataclass(frozen=True)
class Size:
    """What is set aside for one trial.

    Attributes:
        cpus: Cores.
        gpus: GPUs, as Ray counts them.
        memory: Bytes; None where none are set aside.
    """

    cpus: int
    gpus: float
    memory: int | None = None

    def __str__(self) -> str:
        return _described(self.resources)

    @property
    def resources(self) -> dict[str, float]:
        """By Ray's names."""
        wanted = {"CPU": float(self.cpus), "GPU": self.gpus}
        return wanted | ({"memory": float(self.memory)} if self.memory is not None else {})


def places(size: Size) -> int:
    """How many trials the nodes have room for at a time, were they all free.

    Raises:
        InfrastructureError: No node has room for one.
    """
    import ray

    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    wanted = size.resources
    found = sum(_room(node, wanted) for node in alive)
    if not found:
        each = ({name: node.get(name, 0) for name in wanted} for node in alive)
        have = "; ".join(sorted({_described(node) for node in each}))
        raise InfrastructureError(
            f"no node of the Ray cluster has room for a trial of {size}: they have {have}"
        )
    return found


def _room(node: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    return min(int(node.get(name, 0) / much) for name, much in wanted.items() if much)


def _described(resources: Mapping[str, float]) -> str:
    words = [f"{resources['CPU']:g} CPU", f"{resources['GPU']:g} GPU"]
    if "memory" in resources:
        words.append(f"{resources['memory'] / _GIB:.1f} GiB")
    return " and ".join(words)
