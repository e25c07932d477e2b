"""Residual branches that add less than they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from probes.tap.sums import carried, tensors_in
from remedies.surgery.tensors import change_first


class ScaledBranch:
    """A forward hook: what a module adds to its stream is multiplied by a factor.

    That is all of its output; or, where a module adds within itself, the difference between its
    output and its input. Which one it is shows in the graph of the first training pass.

    Args:
        factor: A number, or a tensor that is trained.
        tell: Called whenever it is at work.
    """

    def __init__(self, factor: float | Tensor, tell: Callable[[], None]) -> None:
        self._factor = factor
        self._tell = tell
        self._within: bool | None = None

    def __call__(self, module: nn.Module, given: Any, output: Any) -> Any:
        """Change the output of a forward pass."""
        return change_first(output, lambda result: self._scaled(given, result))

    def _scaled(self, given: Any, result: Tensor) -> Tensor:
        if result.grad_fn is not None and self._within is None:
            self._within = carried(given, result) is not None
        self._tell()
        if not self._within:
            return result * self._factor
        stream = next((own for own in tensors_in(given) if own.shape == result.shape), None)
        return result if stream is None else stream + self._factor * (result - stream)
