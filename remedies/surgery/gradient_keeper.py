"""Steps that use the gradients of the backward pass, whatever is cleared in between."""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from probes.tap.optimizers import held_by


class GradientKeeper:
    """Keeps what a backward pass left in ``.grad`` until a step uses it.

    A step that is called after a forward pass, and before its backward pass, would change weights
    that the backward pass needs: it is made right after the backward pass.

    Args:
        tell: Called at each step that lacked its gradients.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        self._late: list[Callable[[], None]] = []
        self._computed = False

    def add(self, optimizer: Optimizer) -> None:
        """Give an optimizer another ``step``."""
        if isinstance(optimizer, LBFGS):
            return  # Its closure computes the gradients within the step.
        self._optimizers.add(optimizer)
        taken = type(optimizer).step

        def step(self_: Optimizer, closure: Any = None, *args: Any, **kwargs: Any) -> Any:
            if closure is not None or not self._lost(self_):
                result = taken(self_, closure, *args, **kwargs)
                self._forget(self_)
                return result
            self._tell()
            if self._computed:
                self._late.append(lambda: self._make(self_, taken))
            else:
                self._make(self_, taken)
            return None

        # A method, which schedulers expect it to be.
        optimizer.step = types.MethodType(step, optimizer)  # type: ignore[method-assign]

    def forward(self, *_: Any) -> None:
        """A module was called."""
        self._computed = self._computed or torch.is_grad_enabled()

    @torch.no_grad()
    def after_backward(self) -> None:
        """Take a copy of all gradients that there are now, and make the steps that wait."""
        for optimizer in self._optimizers:
            for parameter in held_by(optimizer):
                if parameter.grad is not None:
                    self._kept[id(parameter)] = parameter, parameter.grad.detach().clone()
        self._computed = False
        late, self._late = self._late, []
        for make in late:
            make()

    @torch.no_grad()
    def _lost(self, optimizer: Optimizer) -> bool:
        """Whether there is nothing left of what the last backward pass gave."""
        held = held_by(optimizer)
        gone = all(p.grad is None or not bool(p.grad.any()) for p in held)
        return gone and (self._computed or any(id(p) in self._kept for p in held))

    def _make(self, optimizer: Optimizer, taken: Callable[..., Any]) -> None:
        for parameter in held_by(optimizer):
            _, kept = self._kept.get(id(parameter), (None, None))
            if kept is not None:
                parameter.grad = kept
        with torch.enable_grad():
            taken(optimizer)
        for parameter in held_by(optimizer):
            parameter.grad = None
        self._forget(optimizer)

    def _forget(self, optimizer: Optimizer) -> None:
        for parameter in held_by(optimizer):
            self._kept.pop(id(parameter), None)
