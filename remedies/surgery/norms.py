"""Norms that can stand in for one another, on inputs of any shape."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies._groups import group_count

KINDS = ("instance", "group", "layer", "rms", "batch", "position")
"""Kinds of `StandInNorm`."""


class StandInNorm(nn.Module):
    """Normalises without running statistics, so that training and evaluation do the same.

    Args:
        kind: ``instance``: each channel of each sample (falls back to ``layer`` where a channel
            has one value only, as in 2-D inputs). ``group``: groups of channels of each sample.
            ``layer``: all values of each sample. ``rms``: as ``layer``, without subtracting the
            mean. ``batch``: each channel over the batch, in evaluation, too. ``position``: the
            channels of each position by themselves, as in a transformer.
        channels: Size of dimension 1 of the input.
        weight: Scale per channel, shape (channels,), or None.
        bias: Shift per channel, shape (channels,), or None.
        eps: Added to the variance.
    """

    def __init__(
        self,
        kind: str,
        channels: int,
        weight: nn.Parameter | None,
        bias: nn.Parameter | None,
        eps: float,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"unknown norm {kind!r} (known: {', '.join(KINDS)})")
        self.kind = kind
        self.channels = channels
        self.eps = eps
        self.weight = weight
        self.bias = bias

    def forward(self, values: Tensor) -> Tensor:
        """Normalise ``values`` of shape (batch, channels, ...)."""
        if self.kind == "rms":
            return self._rms(values)
        if self.kind == "batch":
            return functional.batch_norm(
                values, None, None, self.weight, self.bias, training=True, eps=self.eps
            )
        if self.kind == "position":
            last = values.movedim(1, -1)
            normed = functional.layer_norm(last, (self.channels,), self.weight, self.bias, self.eps)
            return normed.movedim(-1, 1)
        if self.kind == "instance" and values.dim() > 2 and values[0, 0].numel() > 1:
            return functional.instance_norm(
                values, weight=self.weight, bias=self.bias, eps=self.eps
            )
        groups = group_count(self.channels) if self.kind == "group" else 1
        return functional.group_norm(values, groups, self.weight, self.bias, self.eps)

    def _rms(self, values: Tensor) -> Tensor:
        dimensions = tuple(range(1, values.dim()))
        scaled = values * torch.rsqrt((values**2).mean(dimensions, keepdim=True) + self.eps)
        shape = (1, self.channels) + (1,) * (values.dim() - 2)
        if self.weight is not None:
            scaled = scaled * self.weight.view(shape)
        return scaled if self.bias is None else scaled + self.bias.view(shape)

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return f"{self.kind}, {self.channels}, affine={self.weight is not None}"
