"""How far what modules put out differs between samples, and between positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle

from probes.tap.calls import CallLog
from probes.tap.dense import is_dense, is_plain
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector, first_tensor, stride
from probes.tap.unrecorded import unrecorded

_FEWEST_ROWS = 4
_FEWEST_FEATURES = 2
_MOST_ROWS = 64
_MOST_FEATURES = 1024
_MOST_SAMPLES = 8
_CHANNELS_FIRST = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm", "MaxPool", "AvgPool")


class SpreadWatch:
    """Looks at the output of every module in the first training pass of a step.

    Args:
        tree: Names the modules.
        calls: What is computed here is kept from its listeners.
        collector: Takes the signals of `spread`; and ``spread.keeps``, 1 where a module with
            parameters puts out the shape that it is given.
    """

    def __init__(self, tree: ModuleTree, calls: CallLog, collector: Collector) -> None:
        self._tree = tree
        self._calls = calls
        self._collector = collector
        self._handles: list[RemovableHandle] = []
        self._seen: set[str] = set()

    def switch_on(self) -> None:
        """Watch the forward passes of the next step."""
        self._seen = set()
        if not self._handles:
            self._handles = [
                register_module_forward_pre_hook(self._enter),
                register_module_forward_hook(self._leave),
            ]

    def switch_off(self) -> None:
        """Watch no more."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _enter(self, module: nn.Module, args: Any) -> None:
        # What a root is given is what its modules are to be compared with.
        name = self._tree.name(module)
        if name in self._tree_roots() and name not in self._seen and _trains(module):
            given = first_tensor(args)
            if given is not None and is_plain(given):
                found = self._spread(given, given.dim() > 3)
                self._collector.add("train", f"{name}.input", found)

    def _tree_roots(self) -> set[str | None]:
        return {self._tree.name(root) for root in self._tree.roots.values()} - {None}

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        name = self._tree.name(module)
        if name is None or name in self._seen or not _trains(module):
            return
        given, tensor = first_tensor(args), first_tensor(output)
        if tensor is None or not is_plain(tensor) or self._looks_up_one(module, args):
            return
        self._seen.add(name)
        channels_first = tensor.dim() > 3 or type(module).__name__.startswith(_CHANNELS_FIRST)
        found = self._spread(tensor, channels_first)
        if found and given is not None and given.shape == tensor.shape:
            found["spread.keeps"] = float(next(module.parameters(), None) is not None)
        self._collector.add("train", name, found)

    def _looks_up_one(self, module: nn.Module, args: Any) -> bool:
        """Whether the same entry is looked up for all, as a decoder does that begins."""
        if not isinstance(module, nn.Embedding) or not args or not is_dense(args[0]):
            return False
        with self._calls.quiet(), unrecorded():
            return bool((args[0] == args[0].flatten()[0]).all())

    def _spread(self, tensor: Tensor, channels_first: bool) -> dict[str, Tensor | float]:
        with self._calls.quiet(), unrecorded():
            return spread(tensor.detach(), channels_first)


def spread(values: Tensor, channels_first: bool) -> dict[str, Tensor | float]:
    """How far the rows of a representation are from being all the same.

    Args:
        values: Shape (samples, features), (samples, positions, features), or with the features
            in dimension 1 and anything behind.
        channels_first: Whether dimension 1 is that of the features.

    Returns:
        ``spread.share``: root mean square of the rows about their mean, over that about zero; 0
        where all rows are the same. Rows are samples, or positions of all samples together.
        ``spread.rank``: participation ratio of their covariance, the number of directions that
        they really use. ``spread.positions``: as ``share``, of the positions of one sample about
        the sample's own mean. Nothing where there are too few rows or features, or all is zero.
    """
    if values.dim() < 2:
        return {}
    if values.dim() > 2 and channels_first:
        values = values.flatten(2).mean(2)
    rows = _some(values.flatten(0, -2), _MOST_ROWS).float()
    if rows.shape[0] < _FEWEST_ROWS or rows.shape[1] < _FEWEST_FEATURES:
        return {}
    rows = _some(rows.T, _MOST_FEATURES).T
    centred = rows - rows.mean(0)
    products = centred @ centred.T
    energy = products.diagonal().sum()
    length = torch.linalg.vector_norm
    found: dict[str, Tensor | float] = {
        "spread.share": energy.sqrt() / length(rows),
        "spread.rank": (energy / length(products)).square(),
        "spread.width": float(values.shape[-1]),
    }
    if values.dim() == 3 and values.shape[1] >= _FEWEST_ROWS:
        some = values[:_MOST_SAMPLES, :_MOST_ROWS, :_MOST_FEATURES].float()
        found["spread.positions"] = length(some - some.mean(1, keepdim=True)) / length(some)
    return found


def _some(rows: Tensor, most: int) -> Tensor:
    return rows[:: stride(len(rows), most)]


def _trains(module: nn.Module) -> bool:
    return module.training and torch.is_grad_enabled() and torch._C._current_graph_task_id() == -1
