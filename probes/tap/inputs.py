"""Watches what comes in at the model's door, in training and in evaluation."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle

from probes.tap.dense import is_dense_float
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector, stride
from probes.tap.unrecorded import unrecorded
from probes.trace import Phase

_PASSES = 4
"""Forward passes of each phase that are looked at while the watch is on."""
_FAR = 30.0
"""Distance from the median of a feature, in units of its usual deviation, that none comes to."""
_ALIKE = 0.5
_GAP = 2.0
"""A code is half of them at least, and so much farther than all that is not the code."""
_MOST_VALUES = 4096
_AT_ONCE = 2**18
"""Values that are taken apart together: what is computed of them is several times their size."""
_FEWEST_VALUES = 8
"""Values of each feature from which on their spread says something of it, and not of chance."""


class InputWatch:
    """Looks at the data that the first layer of a model takes in.

    That is the first module with parameters of its own, so that a model that scales its inputs by
    itself is seen by what it makes of them. Nothing is looked at where it is an embedding or a
    norm, or where what comes in was computed with gradient. What a hook before the layer makes of
    its input is what the layer takes in.

    Args:
        tree: Names the modules.
        collector: Takes what `input_statistics` says, at the layer.
    """

    def __init__(self, tree: ModuleTree, collector: Collector) -> None:
        self._tree = tree
        self._collector = collector
        self._handles: list[RemovableHandle] = []
        self._at_door = False
        self._first: nn.Module | None = None
        self._passes: dict[Phase, int] = {"train": 0, "eval": 0}

    def switch_on(self) -> None:
        """Watch the next forward passes."""
        self._passes = {"train": 0, "eval": 0}
        self._at_door, self._first = False, None
        if not self._handles:
            self._handles = [
                register_module_forward_pre_hook(self._enter),
                register_module_forward_hook(self._leave),
            ]

    def switch_off(self) -> None:
        """Watch no more."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._first = [], None

    def _enter(self, module: nn.Module, args: Any) -> None:
        if not self._at_door:
            self._at_door = any(module is root for root in self._tree.roots.values())
        if not self._at_door or not any(p is not None for p in module._parameters.values()):
            return
        self._at_door = False
        self._first = module if takes_features(module) else None

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if module is not self._first:
            return
        self._first = None
        name = self._tree.name(module)
        batch = args[0] if args else None
        if name is None or not is_dense_float(batch):
            return
        if not batch.dim() or batch.grad_fn is not None:
            return
        phase: Phase = "train" if module.training and torch.is_grad_enabled() else "eval"
        self._passes[phase] += 1
        if self._passes[phase] <= _PASSES:
            with unrecorded():
                self._collector.add(phase, name, input_statistics(by_feature(module, batch)))


def takes_features(module: nn.Module) -> bool:
    """Whether a layer weighs the features of its input by their scale."""
    kinds = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase)
    return isinstance(module, kinds)


def by_feature(module: nn.Module, batch: Tensor) -> Tensor:
    """The input of a layer, shape (values, features): channels of a convolution, else the last."""
    values = batch.detach().float()
    if isinstance(module, nn.modules.conv._ConvNd) and values.dim() > 2:
        values = values.movedim(1, -1)
    return values.reshape(-1, values.shape[-1])


def input_statistics(values: Tensor) -> dict[str, Tensor]:
    """Scale and spread of the features of an input.

    Args:
        values: Shape (values, features).

    Returns:
        ``input.mean``, ``input.std`` and ``input.rms`` over all that is finite; ``input.missing``,
        the share that is not; ``input.largest``, the largest root mean square of a feature;
        ``input.spread``, the largest over the smallest standard deviation of the features, those
        left out that vary by less than a ten thousandth of the largest, and 1 where there are too
        few values of each to tell them apart; ``input.outlying``, the
        largest share of a feature's values that are `outlying`, and ``input.column``, the number of
        the feature that has them or, before all, those that are not finite; ``input.code``, the
        one number that all outlying values are, if they are.
    """
    width = max(1, _AT_ONCE // len(values))
    parts = [_sums(part) for part in torch.split(values, width, dim=1)]
    known, total, squared, apart, codes = map(torch.cat, zip(*parts, strict=True))
    count = known.clamp_min(1)
    means, squares = total / count, squared / count
    deviations = (squares - means.square()).clamp_min(0).sqrt()
    varied = deviations > 1e-4 * deviations.amax()
    least = torch.where(varied, deviations, torch.inf).amin()
    mean = total.sum() / known.sum().clamp_min(1)
    square = squared.sum() / known.sum().clamp_min(1)
    shares, missing = apart / len(values), 1 - known / len(values)
    many = len(values) >= _FEWEST_VALUES
    found = {
        "input.mean": mean,
        "input.std": (square - mean**2).clamp_min(0).sqrt(),
        "input.rms": square.sqrt(),
        "input.missing": missing.mean(),
        "input.largest": squares.amax().sqrt(),
        "input.spread": torch.where(varied.any() & many, deviations.amax() / least, 1.0),
        "input.outlying": shares.amax(),
        "input.column": (shares + 2 * missing).argmax(),
    }
    if codes.numel() and bool((codes == codes[0]).all()):
        found["input.code"] = codes[0]
    return found


class _Sums(NamedTuple):
    """Of some features: what is finite, its sums, and how much of it is `outlying`."""

    known: Tensor
    total: Tensor
    squared: Tensor
    apart: Tensor
    codes: Tensor


def _sums(values: Tensor) -> _Sums:
    finite = values.isfinite()
    kept = torch.where(finite, values, 0.0).double()
    apart = outlying(values)
    return _Sums(
        known=finite.double().sum(0),
        total=kept.sum(0),
        squared=kept.square_().sum(0),
        apart=apart.double().sum(0),
        codes=torch.unique(values[apart]),
    )


def outlying(values: Tensor) -> Tensor:
    """Which values are no measurements: 30 deviations and more from the median of their feature.

    The deviation is that of a normal distribution with the same median distance from the median.
    Half of them or more are one number, which occurs more than once and is twice as far as any
    other; else the feature has a long tail, or an end to its scale. None are in a feature of which
    more than half the values are the same.

    Args:
        values: Shape (values, features).
    """
    sample = values[:: stride(len(values), _MOST_VALUES)]
    middle = sample.nanmedian(0).values
    usual = 1.4826 * (sample - middle).abs().nanmedian(0).values
    distance = (values - middle).abs()
    far = (distance > _FAR * usual) & (usual > 0) & values.isfinite()
    farthest = torch.where(far, distance, 0.0).amax(0)
    code = far & (distance == farthest)
    others = torch.where(code | ~values.isfinite(), 0.0, distance).amax(0)
    alike = code.sum(0)
    coded = (alike > 1) & (alike >= _ALIKE * far.sum(0)) & (farthest > _GAP * others)
    return far & coded
