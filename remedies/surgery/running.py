"""Running statistics of a norm, kept by another rule than its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

RULES = ("momentum", "cumulative", "recalibrate")
"""Rules of `RunningStatistics`."""

MOMENTUM = 0.1
WINDOW = 16
"""Training batches whose statistics ``recalibrate`` uses."""


class RunningStatistics:
    """Takes over the running statistics of one norm.

    The norm is lent another ``momentum`` for the duration of a forward pass and gets its own back,
    so that a script that changes or reads it goes on as before. In training mode the output does
    not depend on running statistics: training stays the same.

    A norm that is kept in evaluation mode while its model is trained never looks at its batches:
    these are then looked at here, before they pass, as its output does depend on the statistics.

    Args:
        norm: The norm.
        rule: ``momentum``: a moving average with momentum 0.1. ``cumulative``: the average over
            all batches. ``recalibrate``: the pooled statistics of the last 16 batches.
        root: The model that the norm is in.
        took_effect: Called after a batch was taken in.
    """

    def __init__(
        self, norm: nn.Module, rule: str, root: nn.Module, took_effect: Callable[[], None]
    ) -> None:
        if rule not in RULES:
            raise ValueError(f"unknown rule {rule!r} (known: {', '.join(RULES)})")
        self._norm: Any = norm
        self._rule = rule
        self._root = root
        self._took_effect = took_effect
        self._batches = 0
        self._recent: deque[tuple[Tensor, Tensor]] = deque(maxlen=WINDOW)
        self._lent: Any = None

    def attach(self) -> None:
        """Put the hooks onto the norm. A copy of the norm has them, too: it is left alone."""

        def before(module: nn.Module, inputs: Any) -> None:
            if module is self._norm:
                self._before(inputs)

        def after(module: nn.Module, inputs: Any, output: Any) -> None:
            if module is self._norm and self._lent is not None:
                (self._norm.momentum,) = self._lent
                self._lent = None
                if output is not None:
                    self._taken_in()

        self._norm.register_forward_pre_hook(before)
        self._norm.register_forward_hook(after, always_call=True)

    def _before(self, inputs: tuple[Any, ...]) -> None:
        norm = self._norm
        if norm.training:
            self._lent = (norm.momentum,)
            norm.momentum = self._next_factor()
        elif self._root.training and torch.is_grad_enabled() and inputs and inputs[0].dim() > 1:
            factor = self._next_factor()
            with torch.no_grad():
                variance, mean = _of_batch(inputs[0].detach())
                norm.running_mean.data.lerp_(mean.to(norm.running_mean.dtype), factor)
                norm.running_var.data.lerp_(variance.to(norm.running_var.dtype), factor)
            self._taken_in()

    def _next_factor(self) -> float:
        """The share that the next batch gets in the running statistics."""
        self._batches += 1
        if self._rule == "momentum":
            return MOMENTUM
        return 1.0 / self._batches if self._rule == "cumulative" else 1.0

    @torch.no_grad()
    def _taken_in(self) -> None:
        norm = self._norm
        if self._rule == "recalibrate":
            # With a factor of one the norm now holds the statistics of the batch alone.
            self._recent.append((norm.running_mean.clone(), norm.running_var.clone()))
            means, variances = (torch.stack(values) for values in zip(*self._recent, strict=True))
            # Not as a change in place: the graph of the forward pass may hold the buffers.
            norm.running_mean.data.copy_(means.mean(0))
            norm.running_var.data.copy_(variances.mean(0) + means.var(0, correction=0))
        self._took_effect()


def _of_batch(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Variance and mean of each channel of a batch of shape (batch, channels, ...)."""
    return torch.var_mean(batch.float().transpose(0, 1).flatten(1), dim=1)
