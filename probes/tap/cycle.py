"""Follows the gradients of an optimizer from one of its steps to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from probes.tap.guard import quietly
from probes.tap.optimizers import Optimizers, held_by
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded
from probes.tap.wrap import all_undone, wrap


@dataclass(slots=True)
class _Cycle:
    """What happened to the gradients of one optimizer since its last step.

    Attributes:
        whole: Whether all of it was seen.
        backwards: Backward passes that changed a gradient.
        clean: Parameters without a gradient, or with zeros, at the start of a backward pass.
        reached: Parameters that a backward pass gave a gradient.
        inside: Whether the step is being made: what comes now is its closure's.
    """

    whole: bool = False
    backwards: int = 0
    clean: set[int] = field(default_factory=set)
    reached: set[int] = field(default_factory=set)
    inside: bool = False


class CycleWatch:
    """Looks at ``.grad`` before and after every backward pass, and before every optimizer step.

    However gradients are cleared (``zero_grad`` of the optimizer or of a module, None, zeros by
    hand), what counts is that they are gone at the start of some backward pass. A gradient that was
    there at the start of all of them is added to, after a step has used it already. One that the
    script has changed meanwhile (let decay, say) is its own affair, and counts as cleared.

    Args:
        optimizers: Names them.
        collector: Takes, at the optimizer, ``cycle.backwards``, the backward passes since its last
            step; ``cycle.carried``, the share of the tensors with a gradient whose gradient still
            has that of the step before in it; and ``cycle.cleared``, the share of them whose
            gradient is gone when the step is made.
    """

    def __init__(self, optimizers: Optimizers, collector: Collector) -> None:
        self._optimizers = optimizers
        self._collector = collector
        self._on = False
        self._missed = False
        self._cycles: dict[int, _Cycle] = {}
        self._last: _Cycle | None = None
        self._norms: dict[int, list[float]] = {}
        self._left: dict[int, list[float]] = {}

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = [
            wrap(torch.autograd, "backward", self._before_backward, self._after_backward),
            register_optimizer_step_pre_hook(self._before_step).remove,
            register_optimizer_step_post_hook(self._after_step).remove,
        ]
        return all_undone(undo)

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """Follow an optimizer that was just made."""
        self._cycles[id(optimizer)] = _Cycle(whole=True)

    def switch_on(self) -> None:
        """Follow the gradients of the next step."""
        if self._missed:
            self._left = {}
            for cycle in self._cycles.values():
                cycle.whole = cycle is self._last
        self._on, self._missed = True, False

    def switch_off(self) -> None:
        """Let the gradients alone."""
        self._on = False

    @quietly
    def _before_backward(self, *args: Any, **kwargs: Any) -> None:
        if torch._C._current_graph_task_id() != -1:
            return
        if not self._on:
            self._missed = True
            return
        self._optimizers.backward = self._optimizers.line()
        for optimizer, cycle in self._followed():
            norms = self._norms[id(optimizer)] = _norms(optimizer)
            left = self._left.get(id(optimizer), norms)
            held = held_by(optimizer)
            if len(left) == len(norms):
                triples = zip(held, left, norms, strict=True)
                cycle.clean |= {id(p) for p, then, now in triples if now == 0 or now != then}

    @quietly
    def _after_backward(self, *args: Any) -> None:
        if not self._on or torch._C._current_graph_task_id() != -1:
            return
        for optimizer, cycle in self._followed():
            before = self._norms.pop(id(optimizer), None)
            after = self._left[id(optimizer)] = _norms(optimizer)
            if before is None or len(before) != len(after):
                continue
            triples = zip(held_by(optimizer), before, after, strict=True)
            reached = {id(p) for p, then, now in triples if now != then}
            cycle.reached |= reached
            cycle.backwards += bool(reached)

    def _followed(self) -> list[tuple[Optimizer, _Cycle]]:
        with torch._C.DisableTorchFunction():
            alive = [known.reference() for known in self._optimizers.alive]
            return [
                (optimizer, self._cycles[id(optimizer)])
                for optimizer in alive
                if optimizer is not None and id(optimizer) in self._cycles
            ]

    @quietly
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        cycle = self._cycles.get(id(optimizer))
        if cycle is None or not self._on:
            return
        cycle.inside = True
        if cycle.backwards:
            self._record(optimizer, cycle)

    @quietly
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        cycle = self._cycles.get(id(optimizer))
        if self._on and cycle is not None:
            if cycle.inside and cycle.backwards:
                self._record(optimizer, cycle)  # The backward passes were within the step.
            self._left[id(optimizer)] = _norms(optimizer)
        self._last = self._cycles[id(optimizer)] = _Cycle(whole=self._on or not self._missed)

    def _record(self, optimizer: Optimizer, cycle: _Cycle) -> None:
        where = self._optimizers.tell(optimizer)
        if cycle.whole and cycle.reached:
            with torch._C.DisableTorchFunction():
                norms = _norms(optimizer)
            pairs = list(zip(held_by(optimizer), norms, strict=True))
            gone = sum(norm == 0 for p, norm in pairs if id(p) in cycle.reached)
            found = {
                "cycle.backwards": float(cycle.backwards),
                "cycle.carried": len(cycle.reached - cycle.clean) / len(cycle.reached),
                "cycle.cleared": gone / len(cycle.reached),
            }
            self._collector.add("train", where, found)
        cycle.backwards = 0


@unrecorded()
def _norms(optimizer: Optimizer) -> list[float]:
    """Euclidean norm of each gradient, 0 where there is none."""
    dense = {
        number: p.grad
        for number, p in enumerate(held_by(optimizer))
        if isinstance(p, Tensor) and p.grad is not None and p.grad.layout == torch.strided
    }
    norms = [0.0] * len(held_by(optimizer))
    if dense:
        with torch._C.DisableTorchFunction():
            values = [norm.double().cpu() for norm in torch._foreach_norm(list(dense.values()))]
            for number, norm in zip(dense, torch.stack(values).tolist(), strict=True):
                norms[number] = norm
    return norms
