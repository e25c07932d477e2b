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
        if not any(map(self._has_old, args)) or func is Tensor.backward:
            return NotImplemented
        return func(*map(self._without, args), **kwargs)

    def _has_old(self, value: Any) -> bool:
        return any(map(self._old, value)) if _is_state(value) else self._old(value)

    def _without(self, value: Any) -> Any:
        if _is_state(value):
            return type(value)(map(self._without, value))
        return value.detach() if self._old(value) else value

    def _old(self, value: Any) -> bool:
        if not self._steps or not isinstance(value, Tensor) or value.grad_fn is None:
            return False
        return _number(value) < min(self._steps.values())


def _is_state(value: Any) -> bool:
    """Whether it is a state of several tensors, as that of an LSTM."""
    return type(value) in (list, tuple)


def _number(tensor: Tensor) -> int:
    """Counts the operations of a graph in their order."""
    assert tensor.grad_fn is not None
    return int(tensor.grad_fn._sequence_nr())
