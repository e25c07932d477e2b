"""Has optimizers update float32 copies of parameters that are in half precision."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from probes.tap.optimizers import held_by
from probes.tap.rounding import HALF


class MasterWeights:
    """Puts a float32 copy in the place of each parameter, and of its gradient, during a step.

    Between the steps a parameter has the copy rounded to its own format, in its own memory. What
    the script writes into it meanwhile goes into the copy. The state of the optimizer is that of
    float32 parameters. LBFGS, which computes the loss within its step, is left alone.

    Args:
        tell: Called at each step, with the number of parameters.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._masters: dict[int, tuple[Tensor, Tensor]] = {}
        self._held: list[tuple[Tensor, Tensor, Tensor]] = []

    @torch.no_grad()
    def before_step(self, optimizer: Optimizer) -> None:
        """Give the optimizer the copies."""
        for parameter in [] if isinstance(optimizer, LBFGS) else held_by(optimizer):
            gradient = parameter.grad
            if gradient is None or parameter.dtype not in HALF:
                continue
            self._held.append((parameter, parameter.data, gradient))
            master = self._master(parameter)
            parameter.grad = None
            parameter.data = master
            parameter.grad = gradient.float()
            _widen(optimizer.state.get(parameter, {}))
        if self._held:
            self._tell(len(self._held))

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Round what it made of them."""
        for parameter, rounded, gradient in self._held:
            master = parameter.data
            self._masters[id(parameter)] = parameter, master
            parameter.grad = None
            parameter.data = rounded.copy_(master)
            parameter.grad = gradient
        self._held = []

    def _master(self, parameter: Tensor) -> Tensor:
        """The copy, which is that of the parameter wherever the script did not change it."""
        now = parameter.detach().float()
        if id(parameter) not in self._masters:
            return now
        master = self._masters[id(parameter)][1]
        kept = master.to(parameter.dtype) == parameter.detach()
        return torch.where(kept, master, now)


def _widen(state: dict[str, object]) -> None:
    """Go on in float32 with what an optimizer kept in half precision."""
    for name, value in state.items():
        if isinstance(value, Tensor) and value.dtype in HALF:
            state[name] = value.float()
