"""Watches what modules add to a stream of features, in proportion to the stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary

from probes.tap.calls import CallLog
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector, root_mean_square
from probes.tap.sums import carried, operand_nodes, reaches, tensors_in
from probes.tap.transforms import is_transformed
from probes.tap.unrecorded import unrecorded

_ADDING = {"add", "__add__", "__radd__", "add_", "__iadd__"}
_KEEPING = {
    "view", "view_as", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand",
    "transpose", "permute", "movedim", "swapaxes", "contiguous", "clone", "to", "float", "__get__",
    "__getitem__", "select", "narrow", "chunk", "split", "unbind", "repeat", "interpolate",
    "mul", "__mul__", "__rmul__", "mul_", "__imul__", "div", "__truediv__", "neg", "dropout",
    "tanh", "sigmoid", "relu", "gelu", "silu", "leaky_relu", "elu", "softplus",
}  # fmt: skip
"""Functions whose result is the same thing in another shape, at another scale or squashed."""
_MULTIPLYING = {"matmul", "__matmul__", "bmm", "einsum", "linear"}
_MOST_ADDITIONS = 4
"""Additions of one module that are looked at in one step."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """The module that a tensor comes from.

    Attributes:
        name: Of the module.
        named: Whether the module gave named tensors.
        multiplied: Whether something was multiplied with one of them.
    """

    name: str
    named: bool = False
    multiplied: bool = False


class BranchWatch:
    """Finds additions of a module's output to the stream that the module was fed from.

    Weight changes that a module predicts count as well: its output is added to a parameter, or it
    returns named tensors and their product with something is added to the stream.

    Args:
        tree: Names the modules.
        calls: Tells of the additions.
        collector: Takes ``branch.ratio`` of the module: root mean square of what it adds over that
            of what it is added to. And ``branch.inputs`` of a module that adds within itself, so
            that its output is one of its inputs plus something: how many tensors it is given.
    """

    def __init__(self, tree: ModuleTree, calls: CallLog, collector: Collector) -> None:
        self._tree = tree
        self._collector = collector
        self._handles: list[RemovableHandle] = []
        self._origins: Any = WeakIdKeyDictionary()
        self._seen: dict[str, int] = {}
        calls.listen(self._note, _ADDING | _KEEPING | _MULTIPLYING)

    def switch_on(self) -> None:
        """Watch the forward passes of the next step."""
        self._seen = {}
        if not self._handles:
            self._handles = [
                register_module_forward_pre_hook(lambda module, args: None),
                register_module_forward_hook(self._leave),
            ]

    def switch_off(self) -> None:
        """Watch no more, and let go of what was seen."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._origins = WeakIdKeyDictionary()

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        name = self._tree.name(module)
        if (
            name is None
            or is_transformed()
            or not _training_forward()
            or next(module.parameters(), None) is None
        ):
            return
        origin = _Origin(name, isinstance(output, Mapping))
        for tensor in tensors_in(output):
            self._origins[tensor] = origin
        with unrecorded():
            stream = carried(args, output) if isinstance(output, Tensor) else None
            if stream is not None:
                ratio = root_mean_square(output - stream) / root_mean_square(stream)
                inputs = float(sum(1 for _ in tensors_in(args)))
                self._add(name, {"branch.ratio": ratio, "branch.inputs": inputs})

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._handles or not _training_forward():
            return
        name = getattr(func, "__name__", "")
        if name in _ADDING and isinstance(result, Tensor) and len(args) > 1:
            self._added(name, args[0], args[1], result)
        elif name in _KEEPING:
            self._inherit(next(filter(None, map(self._origin, args[:2])), None), result)
        elif name in _MULTIPLYING:
            factors = map(self._origin, args[1:])
            factor = next((origin for origin in factors if origin and origin.named), None)
            self._inherit(factor and replace(factor, multiplied=True), result)

    def _origin(self, value: Any) -> _Origin | None:
        return self._origins.get(value) if isinstance(value, Tensor) else None

    def _inherit(self, origin: _Origin | None, result: Any) -> None:
        if origin is not None:
            for tensor in tensors_in(result):
                self._origins[tensor] = origin

    def _added(self, name: str, left: Any, right: Any, result: Tensor) -> None:
        if not (isinstance(left, Tensor) and isinstance(right, Tensor) and result.dim() > 1):
            return
        nodes = operand_nodes(result)
        if len(nodes) != 2:
            return
        origins = [self._origin(operand) for operand in (left, right)]
        with unrecorded():
            values = [result - right if name in ("add_", "__iadd__") else left, right]
        for branch, stream in ((1, 0), (0, 1)):
            origin = origins[branch]
            if origin is None or self._seen.get(origin.name, 0) >= _MOST_ADDITIONS:
                continue
            if self._belongs(origin, origins[stream], values[stream], nodes[branch], nodes[stream]):
                self._seen[origin.name] = self._seen.get(origin.name, 0) + 1
                ratio = root_mean_square(values[branch]) / root_mean_square(values[stream])
                self._add(origin.name, {"branch.ratio": ratio})
                break
        # What comes out is the stream, changed.
        if result in self._origins:
            del self._origins[result]

    def _belongs(
        self,
        origin: _Origin,
        other: _Origin | None,
        stream: Tensor,
        branch_node: Node | None,
        stream_node: Node | None,
    ) -> bool:
        """Whether something is added to the stream that it was made from, or changes weights."""
        if origin.multiplied or isinstance(stream, nn.Parameter):
            return other is None or other.name != origin.name
        return stream_node is not None and reaches(branch_node, stream_node)

    def _add(self, name: str, found: Mapping[str, Tensor | float]) -> None:
        self._collector.add("train", name, found)


def _training_forward() -> bool:
    # Not what checkpointing computes a second time, within the backward pass.
    return torch.is_grad_enabled() and torch._C._current_graph_task_id() == -1
