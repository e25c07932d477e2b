"""Lets an output layer speak in the units of the targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probes.tap.class_targets import operands

_FEWEST = 4


class TargetUnits:
    """Learns the mean and standard deviation of the targets from the first loss in training.

    Args:
        tell: Called when they are known.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._units: tuple[Tensor, Tensor] | None = None

    def scaled(self, output: Any) -> Any:
        """The output of the layer in the units of the targets, its gradient in its own."""
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return output
        if self._units is None:
            return output
        mean, deviation = (value.to(output) for value in self._units)
        if mean.numel() not in (1, output.shape[-1]):
            return output
        fixed = output.detach()
        # The value is that of the first term; the gradient is the output's over the deviation.
        return fixed * deviation + mean + (output - fixed) / deviation

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        if self._units is not None or not torch.is_grad_enabled():
            return NotImplemented
        pair = operands(getattr(func, "__name__", ""), args, kwargs)
        if pair is None or pair[0].grad_fn is None or not pair[1].is_floating_point():
            return NotImplemented
        said, wanted = pair
        if len(wanted) < _FEWEST or not self._learn(wanted.detach()):
            return NotImplemented
        silent = said.detach() + 0 * said  # A step that teaches nothing, in the wrong units.
        new = [silent if value is said else value for value in args]
        return func(*new, **{k: silent if v is said else v for k, v in kwargs.items()})

    def _learn(self, wanted: Tensor) -> bool:
        columns = wanted.double().reshape(len(wanted), -1)
        if wanted.dim() == 2 and wanted.shape[1] > 1:
            mean, deviation = columns.mean(0), columns.std(0)
        else:
            mean, deviation = columns.mean(), columns.std()
        if not bool((deviation > 0).all()):
            return False
        self._units = mean, deviation
        self._tell(f"output times {float(deviation.mean()):.3g} plus {float(mean.mean()):.3g}")
        return True
