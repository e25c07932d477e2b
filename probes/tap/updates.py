"""Gradients, weights and updates of every parameter at a probed optimizer step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from probes.tap.statistics import Collector


class UpdateWatch:
    """Compares the parameters of an optimizer before and after one of its steps.

    Args:
        collector: Takes ``grad.norm``, ``weight.norm`` and ``update.norm`` of each parameter
            (Euclidean norms; the weight's is that before the step).
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._before: list[tuple[str, Tensor, Tensor]] = []

    @torch.no_grad()
    def before(self, optimizer: Optimizer, names: dict[int, str]) -> None:
        """Look at gradients and weights, and remember the weights."""
        parameters = [
            parameter
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
            and parameter.grad.layout == torch.strided
            and parameter.is_floating_point()
        ]
        if not parameters:
            return
        gradients = torch._foreach_norm([p.grad.detach().float() for p in parameters])
        weights = torch._foreach_norm([p.detach().float() for p in parameters])
        for number, parameter in enumerate(parameters):
            name = names.get(id(parameter), f"parameter#{number}")
            found = {"grad.norm": gradients[number], "weight.norm": weights[number]}
            self._collector.add("train", name, found)
            self._before.append((name, parameter, parameter.detach().clone()))

    @torch.no_grad()
    def after(self) -> None:
        """Look at what the step changed."""
        if not self._before:
            return
        changes = [(now.detach() - then).float() for _, now, then in self._before]
        for (name, _, _), norm in zip(self._before, torch._foreach_norm(changes), strict=True):
            self._collector.add("train", name, {"update.norm": norm})
        self._before = []
