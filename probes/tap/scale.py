"""How evenly the positions of a module's output are scaled, and whether a norm comes next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.hooks import RemovableHandle

from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector, first_tensor
from probes.tap.transforms import is_transformed
from probes.tap.unrecorded import unrecorded

_MOST_VALUES = 2**16
_PASSES = 2
"""Forward passes of a module that are looked at while the watch is on."""


class ScaleWatch:
    """Looks at what the modules with parts of their own put out in training, and at its gradient.

    Args:
        tree: Names the modules.
        collector: Takes the signals of `balance`; ``scale.alone``, 1 where the output is that one
            tensor and 0 where it is several; and, from the backward pass, those of `alignment`.
    """

    def __init__(self, tree: ModuleTree, collector: Collector) -> None:
        self._tree = tree
        self._collector = collector
        self._handle: RemovableHandle | None = None
        self._passes: dict[str, int] = {}

    def switch_on(self) -> None:
        """Watch the next forward passes and their gradients."""
        self._passes = {}
        if self._handle is None:
            self._handle = register_module_forward_hook(self._leave)

    def switch_off(self) -> None:
        """Watch no more."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if not module._modules or not module.training or is_transformed():
            return
        name = self._tree.name(module)
        tensor = first_tensor(output)
        if name is None or tensor is None or tensor.dim() < 2 or not tensor.requires_grad:
            return
        self._passes[name] = self._passes.get(name, 0) + 1
        if self._passes[name] > _PASSES:
            return
        with unrecorded():
            alone = {"scale.alone": float(tensor is output)}
            self._collector.add("train", name, balance(tensor) | alone)
            look = self._look_at_gradient(name, tensor.detach())
            tensor.register_hook(look)  # type: ignore[no-untyped-call]

    def _look_at_gradient(self, name: str, output: Tensor) -> Callable[[Tensor], None]:
        version = output._version

        def look(gradient: Tensor) -> None:
            if self._handle is None or output._version != version:
                return  # Another step's backward pass; or overwritten in place.
            with unrecorded():
                self._collector.add("train", name, alignment(output, gradient))

        return look


def balance(output: Tensor) -> dict[str, Tensor | float]:
    """How evenly the scale is spread over positions.

    Args:
        output: Shape (batch, ..., features); a position is an index of all but the last dimension.

    Returns:
        ``scale.balance``: how many positions of the batch it would take, all of the same scale, to
        have the same sum and the same sum of squares of norms, as a share of those that are not
        zero. 1 after a norm of each position; near 0 where a few outweigh all others.
        ``scale.position_balance``: the same within a sample, averaged over the samples.
        ``scale.positions``: positions of one sample.
    """
    values = output.detach().float()
    largest = values.abs().amax(-1).reshape(len(values), -1)
    norms = _scaled(values.flatten()).view_as(values).norm(dim=-1).view_as(largest)
    present = largest > 0
    return {
        "scale.balance": _evenness(norms.flatten(), present.flatten()),
        "scale.position_balance": _evenness(norms, present).mean(),
        "scale.positions": float(norms.shape[1]),
    }


def alignment(output: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """Whether the loss depends on the scale of the output.

    Where a norm of each position comes next, it does not, and the gradient is at right angles to
    every position (Euler's theorem on homogeneous functions).

    Args:
        output: Shape (batch, ..., features).
        gradient: Gradient of the loss with respect to it.

    Returns:
        ``scale.alignment``: absolute cosine of the two at each position, averaged, in units of
        what chance gives, 1 / sqrt(features). ``scale.sample_alignment``: the same with all
        positions of a sample taken together: near 0 where a norm comes after pooling. Both of some
        of the samples, where there are many values.
    """
    stride = -(-output.numel() // _MOST_VALUES)
    values, slopes = output.detach()[::stride].float(), gradient.detach()[::stride].float()
    each = _cosine(values, slopes)
    together = _cosine(values.flatten(1), slopes.flatten(1))
    return {"scale.alignment": each, "scale.sample_alignment": together}


def _scaled(values: Tensor) -> Tensor:
    """The values over the largest of their last dimension, so that their squares are finite."""
    return values / values.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)


def _evenness(norms: Tensor, present: Tensor) -> Tensor:
    """Participation ratio over the last dimension, as a share of what is present; else 1."""
    squares = norms.square().sum(-1)
    even: Tensor = norms.sum(-1).square() / (present.sum(-1) * squares)
    return torch.where(squares > 0, even, 1.0)


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute cosine along the last dimension where it is defined, in units of chance."""
    one, other = _scaled(one), _scaled(other)
    lengths = one.norm(dim=-1) * other.norm(dim=-1)
    defined = lengths > 0
    cosines = (one * other).sum(-1).abs() / torch.where(defined, lengths, 1.0)
    mean: Tensor = cosines.sum() / defined.sum()
    return mean * math.sqrt(one.shape[-1])
