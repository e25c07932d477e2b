"""Which probes and remedies a request leaves in use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from agent.request import Request
from probes.base import Probe
from remedies.base import Remedy

Unit = TypeVar("Unit", Probe, Remedy)


def selected(registry: Iterable[Unit], request: Request) -> list[Unit]:
    """The units that ``--only`` and ``--skip`` leave; ``--only`` of one kind leaves the other."""
    units = list(registry)
    if any(named(unit, request.only) for unit in units):
        units = [unit for unit in units if named(unit, request.only)]
    return [unit for unit in units if not named(unit, request.skip)]


def named(unit: Probe | Remedy, keys: Iterable[str]) -> bool:
    """Whether one of the keys is the code or the name of a unit, in any case."""
    return bool({unit.code.lower(), unit.name.lower()} & {key.lower() for key in keys})
