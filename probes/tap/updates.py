"""Gradients, weights and updates of every parameter at a probed optimizer step."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from probes.tap.rounding import HALF, lost_share, rounds_to_nearest
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded


class UpdateWatch:
    """Compares the parameters of an optimizer before and after one of its steps.

    Args:
        collector: Takes ``grad.norm``, ``weight.norm`` and ``update.norm`` of each parameter
            (Euclidean norms; the weight's is that before the step), and ``loss.promised``: by how
            much the loss of the batch would fall if it went on as its gradient begins. Of those
            in half precision, where an optimizer of torch makes the step, ``update.lost``, the
            share of the gradient that is of elements which did not move; and ``update.elements``,
            how many there are.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._before: list[tuple[str, Tensor, Tensor, Tensor]] = []
        self._rounds = False

    @unrecorded()
    def before(self, optimizer: Optimizer, names: dict[int, str]) -> None:
        """Look at gradients and weights, and remember the weights."""
        self._rounds = rounds_to_nearest(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.look_at([(p, p.grad) for p in parameters if p.grad is not None], names)

    @unrecorded()
    def look_at(self, pairs: Iterable[tuple[Tensor, Tensor]], names: dict[int, str]) -> None:
        """The same for parameters that are given with their gradients."""
        kept = [(p, g) for p, g in pairs if g.layout == torch.strided and p.is_floating_point()]
        if not kept:
            return
        gradients = torch._foreach_norm([gradient.detach().float() for _, gradient in kept])
        weights = torch._foreach_norm([parameter.detach().float() for parameter, _ in kept])
        for number, (parameter, gradient) in enumerate(kept):
            name = names.get(id(parameter), f"parameter#{number}")
            found = {"grad.norm": gradients[number], "weight.norm": weights[number]}
            self._collector.add("train", name, found)
            self._before.append((name, parameter, parameter.detach().clone(), gradient.detach()))

    @unrecorded()
    def after(self) -> None:
        """Look at what the step changed."""
        if not self._before:
            return
        changes = [(now.detach() - then).float() for _, now, then, _ in self._before]
        for (name, *_), norm in zip(self._before, torch._foreach_norm(changes), strict=True):
            self._collector.add("train", name, {"update.norm": norm})
        gradients = [gradient.float() for *_, gradient in self._before]
        products = torch._foreach_mul(changes, gradients)
        device = products[0].device  # A model may be spread over several.
        promised = -torch.stack([product.sum().to(device) for product in products]).sum()
        self._collector.add("train", "loss", {"loss.promised": promised})
        if self._rounds:
            self._look_at_rounding()
        self._before = []

    def _look_at_rounding(self) -> None:
        for name, now, then, gradient in self._before:
            if then.dtype in HALF:
                lost = lost_share(then, now.detach(), gradient)
                self._collector.add("train", name, {"update.lost": lost})
                self._collector.add("train", name, {"update.elements": float(then.numel())})

    @property
    def changed(self) -> bool:
        """Whether a weight is another one than it was."""
        return any(not torch.equal(now.detach(), then) for _, now, then, _ in self._before)

    def forget(self) -> None:
        """Let go of the weights."""
        self._before = []
