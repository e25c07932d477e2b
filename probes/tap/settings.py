"""What the optimizers of a program are set to, and which way their gradients point."""

from __future__ import annotations

import contextlib
import numbers
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from probes.tap.locate import Sources, variables
from probes.tap.statistics import Collector
from probes.tap.steadiness import Steadiness
from probes.tap.unrecorded import unrecorded
from probes.trace import Event

_MOST_OPTIMIZERS = 8
_MOST_GROUPS = 16
_SETTINGS = ("lr", "momentum", "eps", "weight_decay")


class SettingsWatch:
    """Reads the parameter groups of an optimizer at its probed steps.

    An ``optimizer`` event tells of each group at its first step. Signals, at the group:
    ``optimizer.lr``, ``optimizer.momentum`` (the momentum of SGD, beta1 of Adam),
    ``optimizer.beta2`` (alpha of RMSprop), ``optimizer.eps``, ``optimizer.weight_decay`` and
    ``optimizer.decoupled`` (1 where the decay goes past the gradient), as they were during the
    step; ``optimizer.steadiness``, the cosine of the group's gradient with that of the probed step
    before.

    Args:
        sources: Tells the user's lines.
        collector: Takes the signals.
        emit: Takes the events.
    """

    def __init__(
        self, sources: Sources, collector: Collector, emit: Callable[[Event], None]
    ) -> None:
        self._sources = sources
        self._collector = collector
        self._emit = emit
        self._made: weakref.WeakKeyDictionary[Optimizer, tuple[str, str | None]]
        self._made = weakref.WeakKeyDictionary()
        self._names: set[str] = set()
        self._told: set[str] = set()
        self._steadiness = Steadiness()

    def add(self, optimizer: Optimizer) -> None:
        """Remember which line makes an optimizer; called from within its constructor."""
        if len(self._names) >= _MOST_OPTIMIZERS:
            return
        kind = type(optimizer).__name__
        taken = sum(name.partition("#")[0] == kind for name in self._names)
        name = f"{kind}#{taken + 1}" if taken else kind
        self._names.add(name)
        self._made[optimizer] = name, self._maker(optimizer)

    def _maker(self, optimizer: Optimizer) -> str | None:
        """The innermost line of the user's that is not of the optimizer's own class."""
        for frame in self._sources.stack():
            if variables(frame).get("self") is not optimizer:
                return self._sources.place(frame.f_code, frame.f_lineno)
        return None

    @unrecorded()
    def after(self, optimizer: Optimizer, names: Mapping[int, str]) -> None:
        """Look at an optimizer whose step is over, its gradients still in place."""
        with contextlib.suppress(TypeError, ValueError, RuntimeError, KeyError):
            # Groups hold what a script puts there: what cannot be read is not told.
            for place, group in self._groups(optimizer):
                self._tell(optimizer, place, group, names)
                self._collector.add("train", place, _settings(optimizer, group))
                gradients = {
                    id(p): p.grad
                    for p in group["params"]
                    if p.grad is not None
                    and p.grad.layout == torch.strided
                    and p.is_floating_point()
                    and p.device.type != "meta"
                }
                steady = self._steadiness.measure(place, gradients, set(gradients))
                if steady is not None:
                    self._collector.add("train", place, {"optimizer.steadiness": steady})

    def _groups(self, optimizer: Optimizer) -> Iterator[tuple[str, dict[str, Any]]]:
        made = self._made.get(optimizer)
        if made is None:
            return
        for number, group in enumerate(optimizer.param_groups[:_MOST_GROUPS]):
            alone = len(optimizer.param_groups) == 1
            yield made[0] if alone else f"{made[0]}[{number}]", group

    def _tell(
        self, optimizer: Optimizer, place: str, group: dict[str, Any], names: Mapping[int, str]
    ) -> None:
        if place in self._told:
            return
        self._told.add(place)
        parameters: list[Tensor] = group["params"]
        matrices = [p for p in parameters if p.dim() > 1] or parameters
        self._emit(
            {
                "event": "optimizer",
                "where": place,
                "type": type(optimizer).__name__,
                "source": self._made[optimizer][1],
                "parameters": [names[id(p)] for p in matrices if id(p) in names],
            }
        )


def _settings(optimizer: Optimizer, group: Mapping[str, Any]) -> dict[str, Tensor | float]:
    found: dict[str, Any] = {name: group.get(name) for name in _SETTINGS}
    betas = group.get("betas")
    if isinstance(betas, (tuple, list)) and len(betas) >= 2:
        found["momentum"], found["beta2"] = betas[0], betas[1]
    elif "alpha" in group:
        found["beta2"] = group["alpha"]
    decoupled = group.get("decoupled_weight_decay", type(optimizer).__name__.endswith("W"))
    found["decoupled"] = float(bool(decoupled))
    return {
        f"optimizer.{name}": value if isinstance(value, Tensor) else float(value)
        for name, value in found.items()
        if _is_number(value)
    }


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and value.device.type != "meta"
    return isinstance(value, numbers.Real)
