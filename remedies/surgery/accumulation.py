"""One optimizer step for the gradients of several batches."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer


class Accumulation:
    """Makes an optimizer step with the mean gradient of so many batches, each of so many times.

    The script goes on to call ``step`` and ``zero_grad`` after every batch; in between nothing is
    updated. Schedules go on with the script's calls.

    Args:
        optimizer: Gets another ``step``.
        batches: Batches for one update.
        tell: Called at each update.
    """

    def __init__(self, optimizer: Optimizer, batches: int, tell: Callable[[], None]) -> None:
        self._batches = batches
        self._tell = tell
        self._calls = 0
        self._sums: dict[int, tuple[Tensor, Tensor]] = {}
        taken = type(optimizer).step

        def step(self_: Optimizer, closure: Any = None, *args: Any, **kwargs: Any) -> Any:
            if _is_to_be_left_alone(self_):
                return taken(self_, closure, *args, **kwargs)
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            if self._is_due(self_):
                taken(self_, *args, **kwargs)
            return loss

        # A method, which schedulers expect it to be.
        optimizer.step = types.MethodType(step, optimizer)  # type: ignore[method-assign]

    @torch.no_grad()
    def _is_due(self, optimizer: Optimizer) -> bool:
        """Take the gradients of a batch; after enough of them, put their mean in place."""
        self._calls += 1
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            if parameter.grad is None:
                continue
            if id(parameter) in self._sums:
                self._sums[id(parameter)][1].add_(parameter.grad)
            else:
                self._sums[id(parameter)] = parameter, parameter.grad.detach().clone()
        if self._calls % self._batches:
            return False
        for parameter, total in self._sums.values():
            mean = total / self._batches
            if parameter.grad is None:
                parameter.grad = mean
            else:
                parameter.grad.copy_(mean)
        self._sums = {}
        self._tell()
        return True


def _is_to_be_left_alone(optimizer: Optimizer) -> bool:
    """LBFGS evaluates several times in one step; a fused one has gradients yet to be unscaled."""
    return isinstance(optimizer, LBFGS) or getattr(optimizer, "grad_scale", None) is not None
