"""Watches along which axis layers and reshapes take the samples of a batch to lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from probes._loss_functions import DIFFERENCES
from probes.tap.batches import LABELLED, labels_of
from probes.tap.calls import CallLog
from probes.tap.dense import is_dense
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.noise_places import within_forward
from probes.tap.scrambles import RESHAPES
from probes.tap.statistics import Collector

SOFTMAXES = ("softmax", "log_softmax")
_FEWEST = 4
_Shape = tuple[int, ...]


class SampleAxisWatch:
    """Finds the samples by the labels of the loss, which has them along the first axis.

    Args:
        sources: Tells the user's lines.
        tree: Tells the paths of modules.
        calls: Tells of the calls.
        collector: Takes ``samples.in_time`` at the path of a recurrent or attention layer that
            expects time along the first axis: 1 where the samples lie there, else 0. And at the
            line of a reshape ``samples.axis``: the axis that had the samples where it put what
            else was first in their place. And at the line of a softmax within a module
            ``samples.compete``: 1 where it runs along the samples, else 0.
    """

    def __init__(
        self, sources: Sources, tree: ModuleTree, calls: CallLog, collector: Collector
    ) -> None:
        self._sources = sources
        self._tree = tree
        self._collector = collector
        self._handle: RemovableHandle | None = None
        self._layers: dict[str, _Shape] = {}
        self._reshapes: dict[str, tuple[_Shape, _Shape]] = {}
        self._softmaxes: dict[str, tuple[_Shape, int]] = {}
        calls.listen(self._note, {*RESHAPES, *LABELLED, *SOFTMAXES})

    def switch_on(self) -> None:
        """Watch the next step."""
        if self._handle is None:
            self._handle = register_module_forward_pre_hook(self._enter)

    def switch_off(self) -> None:
        """Watch no more."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        self._forget()

    def _forget(self) -> None:
        self._layers, self._reshapes, self._softmaxes = {}, {}, {}

    def _enter(self, module: nn.Module, args: Any) -> None:
        if not isinstance(module, nn.RNNBase | nn.MultiheadAttention) or module.batch_first:
            return
        given = args[0] if args else None
        name = self._tree.name(module)
        if name is not None and is_dense(given) and given.dim() == 3 and torch.is_grad_enabled():
            self._layers[name] = tuple(given.shape)

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if self._handle is None or not isinstance(result, Tensor) or not result.requires_grad:
            return
        name = getattr(func, "__name__", "")
        if name in SOFTMAXES:
            if result.dim() > 1 and within_forward() and (line := self._sources.line()):
                self._softmaxes[line] = tuple(result.shape), softmax_axis(args, kwargs)
        elif name not in RESHAPES:
            labels = labels_of(name, args, kwargs)
            if labels is not None and are_of_samples(name, tuple(labels.shape)):
                self._tell(tuple(labels.shape))
        elif args and isinstance(args[0], Tensor) and (line := self._sources.line()):
            self._reshapes[line] = tuple(args[0].shape), tuple(result.shape)

    def _tell(self, labels: _Shape) -> None:
        samples = labels[0]
        for path, shape in self._layers.items():
            # With a label for each moment of each sample, the second axis may be the samples'.
            in_time = shape[0] == samples and shape[1] not in (1, *labels)
            self._collector.add("train", path, {"samples.in_time": float(in_time)})
        for line, (given, made) in self._reshapes.items():
            axis = misplaced(given, made)
            if axis is not None and made[0] == samples:
                self._collector.add("train", line, {"samples.axis": float(axis)})
        for line, (shape, axis) in self._softmaxes.items():
            found = axis == 0 and shape[0] == samples and samples not in shape[1:]
            self._collector.add("train", line, {"samples.compete": float(found)})
        self._forget()


def are_of_samples(name: str, labels: _Shape) -> bool:
    """Whether labels of this shape tell how many samples there are.

    A difference of two matrices may be anything, and a square one has no first axis.

    >>> are_of_samples("smooth_l1_loss", (32, 6)), are_of_samples("sub", (32, 1))
    (True, True)
    >>> are_of_samples("sub", (32, 6)), are_of_samples("mse_loss", (32, 32))
    (False, False)
    """
    if not labels or labels[0] < _FEWEST or labels[0] in labels[1:]:
        return False
    return name not in DIFFERENCES or math.prod(labels) == labels[0]


def softmax_axis(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """The axis that a call of softmax runs along, counted from the first."""
    given: Tensor = args[0] if args else kwargs["input"]
    axis = args[1] if len(args) > 1 else kwargs.get("dim")
    if not isinstance(axis, int):
        return 0 if given.dim() in (0, 1, 3) else 1  # What torch takes for it.
    return axis % max(1, given.dim())


def misplaced(given: _Shape, made: _Shape) -> int | None:
    """The axis that is as long as the first one of what a reshape makes, and was not first.

    >>> misplaced((2, 32, 64), (32, 128)), misplaced((32, 2, 64), (32, 128))
    (1, None)

    None where several are, or where those before it have one element together.
    """
    if not given or not made or given[0] == made[0] or given.count(made[0]) != 1:
        return None
    axis = given.index(made[0])
    return axis if any(size > 1 for size in given[:axis]) else None
