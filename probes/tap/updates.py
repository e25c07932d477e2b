"""Gradients, weights and updates of every parameter at a probed optimizer step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce

import torch
from torch import Tensor
from torch.optim import Optimizer

from probes.tap.alike_rows import rows_alike
from probes.tap.dense import is_plain
from probes.tap.rounding import HALF, lost_share, rounds_to_nearest
from probes.tap.statistics import Collector, dot, some_elements
from probes.tap.unrecorded import unrecorded


@dataclass
class _Update:
    """A parameter, what some of its elements were before the step, and their gradient."""

    name: str
    parameter: Tensor
    then: Tensor
    gradient: Tensor

    @cached_property
    def change(self) -> Tensor:
        """What the step added, shape (elements,)."""
        return some_elements(self.parameter.detach()) - self.then

    @property
    def scale(self) -> float:
        """Elements for each one that is looked at."""
        return self.parameter.numel() / self.then.numel()


class UpdateWatch:
    """Compares the parameters of an optimizer before and after one of its steps.

    Args:
        collector: Takes ``grad.norm``, ``weight.norm`` and ``update.norm`` of each parameter
            (Euclidean norms; the weight's is that before the step), and ``loss.promised``: by how
            much the loss of the batch would fall if it went on as its gradient begins. Of those
            in half precision, where an optimizer of torch makes the step, ``update.lost``, the
            share of the gradient that is of elements which did not move; and ``update.elements``,
            how many there are. Where all rows of a weight have been the same since the first look,
            and get the same gradient: ``alike.elements`` and ``alike.rows``. Of large parameters,
            what changed is told from some elements.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._before: list[_Update] = []
        self._rounds = False
        self._unlike: set[int] = set()

    @unrecorded()
    def before(self, optimizer: Optimizer, names: dict[int, str]) -> None:
        """Look at gradients and weights, and remember the weights."""
        self._rounds = rounds_to_nearest(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.look_at([(p, p.grad) for p in parameters if p.grad is not None], names)

    @unrecorded()
    def look_at(self, pairs: Iterable[tuple[Tensor, Tensor]], names: dict[int, str]) -> None:
        """The same for parameters that are given with their gradients."""
        kept = [
            (p, g.detach())
            for p, g in pairs
            if g.layout == torch.strided and p.is_floating_point() and p.numel()
        ]
        if not kept:
            return
        gradients = _norms([gradient for _, gradient in kept])
        weights = _norms([parameter.detach() for parameter, _ in kept])
        for number, (parameter, gradient) in enumerate(kept):
            name = names.get(id(parameter), f"parameter#{number}")
            found = {"grad.norm": gradients[number], "weight.norm": weights[number]}
            if id(parameter) not in self._unlike and is_plain(parameter):
                self._compare_rows(name, parameter.detach(), gradient)
            self._collector.add("train", name, found)
            then = some_elements(parameter.detach()).clone()
            self._before.append(_Update(name, parameter, then, some_elements(gradient)))

    def _compare_rows(self, name: str, parameter: Tensor, gradient: Tensor) -> None:
        alike = rows_alike(parameter, gradient)
        if alike is None:
            self._unlike.add(id(parameter))  # For good: rows that differ stay different.
        elif alike:
            rows = float(len(parameter))
            found = {"alike.elements": float(parameter.numel()), "alike.rows": rows}
            self._collector.add("train", name, found)

    @unrecorded()
    def after(self) -> None:
        """Look at what the step changed."""
        if not self._before:
            return
        updates, self._before = self._before, []
        for update, norm in zip(updates, _norms([u.change for u in updates]), strict=True):
            found: dict[str, Tensor | float] = {"update.norm": norm * math.sqrt(update.scale)}
            if self._rounds and update.then.dtype in HALF:
                found["update.lost"] = lost_share(update.change, update.gradient)
                found["update.elements"] = float(update.parameter.numel())
            self._collector.add("train", update.name, found)
        falls = [-update.scale * dot(update.change, update.gradient) for update in updates]
        device = falls[0].device  # A model may be spread over several.
        promised = torch.stack([fall.to(device) for fall in falls]).sum()
        self._collector.add("train", "loss", {"loss.promised": promised})

    @property
    def changed(self) -> bool:
        """Whether a weight is another one than it was."""
        return any(bool(update.change.any()) for update in self._before)

    def forget(self) -> None:
        """Let go of the weights."""
        self._before = []


def _norms(tensors: list[Tensor]) -> list[Tensor]:
    """Their Euclidean norms, in a precision that sums of half-precision squares do not overflow."""
    exact = reduce(torch.promote_types, {tensor.dtype for tensor in tensors}, torch.float32)
    return list(torch._foreach_norm(tensors, 2, exact))
