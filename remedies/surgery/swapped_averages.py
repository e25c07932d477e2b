"""Evaluates a model with closer averages where the script gives it averages of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim import Optimizer

from probes.tap.frozen_parts import sample_of
from probes.tap.optimizers import held_by
from probes.tap.twins import some

_COMPARED = 16
"""Parameters by which the weights are told from other values."""


class SwappedAverages:
    """Keeps averages of the weights, and lends them to a model that is evaluated with others.

    That is the case where, in a pass without gradient, the model has other values than the last
    step has left it with. After the pass it has these again.

    Args:
        targets: Names of the models.
        horizon: Steps over which the averages reach back.
        name: Gives the name of a model.
        tell: Called with the name of a model that was lent averages.
    """

    def __init__(
        self,
        targets: Collection[str],
        horizon: float,
        name: Callable[[nn.Module], str | None],
        tell: Callable[[str], None],
    ) -> None:
        self._targets = targets
        self._share = 1 / horizon
        self._name = name
        self._tell = tell
        self._averages: dict[int, tuple[Tensor, Tensor]] = {}
        self._latest: dict[int, Tensor] = {}
        self._theirs: list[tuple[Tensor, Tensor]] = []
        self._depth = 0

    def install(self) -> Iterator[Callable[[], None]]:
        """Begin; gives what undoes it."""
        yield register_module_forward_pre_hook(self._enter).remove
        yield register_module_forward_hook(self._leave, always_call=True).remove

    def before_step(self, optimizer: Optimizer) -> None:
        """Averages begin with the weights before the first step."""
        for parameter in held_by(optimizer):
            if id(parameter) not in self._averages:
                self._averages[id(parameter)] = parameter, parameter.detach().clone()

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Take the new weights into the averages."""
        held = held_by(optimizer)
        averages = [self._averages[id(parameter)][1] for parameter in held]
        torch._foreach_lerp_(averages, [parameter.detach() for parameter in held], self._share)
        for parameter in some(held, _COMPARED):
            sample = sample_of(parameter)
            if sample is not None:
                self._latest[id(parameter)] = sample

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._depth += 1
        if self._depth == 1 and not torch.is_grad_enabled():
            name = self._name(module)
            if name is not None and name in self._targets and self._has_others(module):
                self._lend(module)
                self._tell(name)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            # By .data: the script knows nothing of it.
            for parameter, values in self._theirs:
                parameter.data.copy_(values)
            self._theirs = []

    def _has_others(self, module: nn.Module) -> bool:
        for parameter in module.parameters():
            latest = self._latest.get(id(parameter))
            sample = sample_of(parameter) if latest is not None else None
            if latest is not None and sample is not None and not torch.equal(latest, sample):
                return True
        return False

    def _lend(self, module: nn.Module) -> None:
        for parameter in module.parameters():
            if id(parameter) in self._averages:
                self._theirs.append((parameter, parameter.detach().clone()))
                parameter.data.copy_(self._averages[id(parameter)][1])
