"""A batch norm without parameters, for outputs of any shape."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_MOMENTUM = 0.1


class RunningNorm:
    """Standardises features over the batch, and with running averages in evaluation.

    Args:
        epsilon: Added to the variance.
        took_effect: Called when values were standardised.
    """

    def __init__(self, epsilon: float, took_effect: Callable[[], None]) -> None:
        self._epsilon = epsilon
        self._took_effect = took_effect
        self._mean: Tensor | None = None
        self._variance: Tensor | None = None

    def __call__(self, training: bool, values: Tensor) -> Tensor:
        """Standardise values of shape (..., features), or (samples, channels, height, width).

        Values without a batch, and those whose number of features is another one, stay.
        """
        channels_first = values.dim() > 3
        rows = values if channels_first else values.reshape(-1, values.shape[-1])
        if values.dim() < 2 or rows.shape[0] < 2 and training:
            return values
        if self._mean is None or self._variance is None:
            # From the first batch: what has collapsed is far from a variance of one.
            found = rows.detach().transpose(0, 1).flatten(1)
            variance, mean = torch.var_mean(found, dim=1, correction=0)
            self._mean, self._variance = mean, variance
        if self._mean.numel() != rows.shape[1]:
            return values
        self._took_effect()
        normed = functional.batch_norm(
            rows,
            self._mean,
            self._variance,
            training=training,
            momentum=_MOMENTUM,
            eps=self._epsilon,
        )
        return normed if channels_first else normed.view(values.shape)
