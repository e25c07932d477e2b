"""Standardises what a layer takes in, by what it took in so far."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from probes.tap.inputs import by_feature, outlying

_MOST_BATCHES = 100
_BOUND = 5.0
"""Where values are limited, in standard deviations, once there were some that are none."""


class _Moments:
    """Mean and standard deviation of features over the first batches.

    A number that stands for what is missing is known in all batches by one that has it twice.
    """

    def __init__(self) -> None:
        self.batches = 0
        self._codes = torch.zeros(0)
        self._count = self._sum = self._squares = torch.zeros(())

    @property
    def outlying(self) -> bool:
        """Whether there were values that are no measurements."""
        return len(self._codes) > 0

    def take(self, values: Tensor) -> None:
        """Add a batch, shape (values, features)."""
        if self.batches >= _MOST_BATCHES:
            return
        self.batches += 1
        good = values.isfinite() & ~self._coded(values)
        kept = torch.where(good, values, 0.0).double()
        self._count = self._count.to(kept.device) + good.sum(0)
        self._sum = self._sum.to(kept.device) + kept.sum(0)
        self._squares = self._squares.to(kept.device) + kept.square().sum(0)

    def _coded(self, values: Tensor) -> Tensor:
        """Which values are codes; with a new one, what was added before counts no more."""
        codes = torch.unique(torch.cat([self._codes.to(values), values[outlying(values)]]))
        if len(codes) > len(self._codes):
            self._codes = codes
            self._count = self._sum = self._squares = torch.zeros(())
        return torch.isin(values, codes)

    def read(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation; 1 for features that are constant."""
        count = self._count.clamp_min(1)
        mean = self._sum / count
        variance = (self._squares / count - mean.square()).clamp_min(0)
        constant = variance <= 1e-10 * mean.square()
        return mean, torch.where(constant, 1.0, variance.sqrt()).clamp_min(1e-12)


class Standardiser:
    """Standardises the inputs of a layer, feature by feature.

    Args:
        module: The layer.
        own: Whether evaluation has its own statistics.
    """

    def __init__(self, module: nn.Module, own: bool) -> None:
        self._module = module
        self._own = own
        self._train, self._eval = _Moments(), _Moments()

    def __call__(self, batch: Tensor) -> Tensor:
        """The batch with mean 0 and standard deviation 1, what is missing at 0."""
        training = self._module.training and torch.is_grad_enabled()
        with torch.no_grad():
            moments = self._train if training or not self._own else self._eval
            if training or self._own or not moments.batches:
                moments.take(by_feature(self._module, batch))
            mean, deviation = moments.read()
        if isinstance(self._module, nn.modules.conv._ConvNd) and batch.dim() > 2:
            shape = (-1, *[1] * (batch.dim() - 2))
            mean, deviation = mean.reshape(shape), deviation.reshape(shape)
        standard = (batch.double() - mean) / deviation
        if moments.outlying:
            standard = standard.clamp(-_BOUND, _BOUND)
        return standard.nan_to_num(0.0, 0.0, 0.0).to(batch.dtype)
