"""Lets parameters that were left out join an optimizer."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

from torch import Tensor
from torch.optim import Optimizer

from probes.tap.optimizers import held_by
from probes.tap.terms import parameters_below


class Joining:
    """Finds what a loss depends on and no optimizer holds.

    Args:
        targets: Paths of the modules or parameters that may join; nothing else does.
        name: Gives the name of a parameter.
        first_root: Gives the name of the model whose parameters are named without it.
    """

    def __init__(
        self,
        targets: Sequence[str],
        name: Callable[[Tensor], str | None],
        first_root: Callable[[], str | None],
    ) -> None:
        self._targets = targets
        self._name = name
        self._first_root = first_root
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._seen: dict[int, Tensor] = {}
        self._waiting: list[Tensor] = []

    def add(self, optimizer: Optimizer) -> None:
        """Take an optimizer into account that was just made."""
        self._optimizers.add(optimizer)

    def look_at(self, loss: Tensor) -> None:
        """Note what a loss depends on."""
        if loss.grad_fn is None:
            return
        held = {id(p) for optimizer in self._optimizers for p in held_by(optimizer)}
        for leaf in parameters_below([loss.grad_fn]):
            if id(leaf) in held or id(leaf) in self._seen or not self._is_wanted(leaf):
                continue
            self._seen[id(leaf)] = leaf
            self._waiting.append(leaf)

    def join(self, optimizer: Optimizer) -> list[Tensor]:
        """Let those that wait join an optimizer."""
        joined, self._waiting = self._waiting, []
        optimizer.param_groups[0]["params"].extend(joined)
        return joined

    def _is_wanted(self, leaf: Tensor) -> bool:
        name = self._name(leaf)
        if name is None:
            return False
        first = self._first_root()
        return any(
            name == target
            or name.startswith((f"{target}.", f"{target}:"))
            or (target == first and ":" not in name)
            for target in self._targets
        )
