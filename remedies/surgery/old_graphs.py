"""Tensors that a program keeps from one step to the next, out of the graph of the new step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.optim import Optimizer


class OldGraphs:
    """Takes what was computed before the last step of every optimizer out of its graph.

    The backward pass has freed that graph, and the steps have changed its weights: to go through it
    again is an error. A running mean of features is such a tensor where they stay in the graph.
    """

    def __init__(self) -> None:
        self._steps: WeakKeyDictionary[Optimizer, int] = WeakKeyDictionary()

    def add(self, optimizer: Optimizer) -> None:
        """An optimizer was made."""
        self._steps[optimizer] = 0

    def stepped(self, optimizer: Optimizer) -> None:
        """It made a step."""
        with torch.enable_grad():
            self._steps[optimizer] = _number(torch.zeros((), requires_grad=True).clone())

    def rewrite(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        """Answer a call of torch that is given such tensors."""
        if not any(map(self._old, args)) or func is Tensor.backward:
            return NotImplemented
        return func(*(arg.detach() if self._old(arg) else arg for arg in args), **kwargs)

    def _old(self, value: Any) -> bool:
        if not self._steps or not isinstance(value, Tensor) or value.grad_fn is None:
            return False
        return _number(value) < min(self._steps.values())


def _number(tensor: Tensor) -> int:
    """Counts the operations of a graph in their order."""
    assert tensor.grad_fn is not None
    return int(tensor.grad_fn._sequence_nr())
