"""Watches what modules add to a stream of features, in proportion to the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
from probes.tap.statistics import Collector

_ADDING = {"add", "__add__", "__radd__", "add_", "__iadd__"}
_KEEPING = {
    "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand", "expand_as",
    "transpose", "permute", "movedim", "swapaxes", "contiguous", "clone", "to", "float", "__get__",
    "__getitem__", "select", "narrow", "chunk", "split", "unbind", "repeat", "interpolate",
    "mul", "__mul__", "__rmul__", "mul_", "__imul__", "div", "__truediv__", "neg", "dropout",
    "tanh", "sigmoid", "relu", "gelu", "silu", "leaky_relu", "elu", "softplus",
}  # fmt: skip
"""Functions whose result is the same thing in another shape, at another scale or squashed."""
_MULTIPLYING = {"matmul", "__matmul__", "bmm", "einsum", "linear"}
_MOST_NODES = 500
_MOST_ADDITIONS = 4
"""Additions of one module that are looked at in one step."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """The module that a tensor comes from.

    Attributes:
        name: Of the module.
        factors: Whether the module gave named tensors, to be multiplied with something.
    """

    name: str
    factors: bool


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
        self._ratios: Any = WeakIdKeyDictionary()
        self._seen: dict[str, int] = {}
        calls.listeners.append(self._note)

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
        self._origins, self._ratios = WeakIdKeyDictionary(), WeakIdKeyDictionary()

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        name = self._tree.name(module)
        if name is None or not _training_forward() or next(module.parameters(), None) is None:
            return
        origin = _Origin(name, isinstance(output, Mapping))
        for tensor in _tensors(output):
            self._origins[tensor] = origin
        with torch._C.DisableTorchFunction():
            if isinstance(output, Tensor) and carried(args, output) is not None:
                inputs = sum(1 for _ in _tensors(args))
                found = {"branch.inputs": float(inputs)}
                if output in self._ratios:
                    found["branch.ratio"] = self._ratios[output]
                self._add(name, found)

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._handles or not _training_forward():
            return
        name = getattr(func, "__name__", "")
        if name in _ADDING and isinstance(result, Tensor) and len(args) > 1:
            self._added(name, args[0], args[1], result)
        elif name in _KEEPING:
            self._inherit(args[:2], result, lambda origin: True)
        elif name in _MULTIPLYING:
            self._inherit(args, result, lambda origin: origin.factors)

    def _inherit(
        self, operands: Iterable[Any], result: Any, wanted: Callable[[_Origin], bool]
    ) -> None:
        for operand in operands:
            origin = self._origins.get(operand) if isinstance(operand, Tensor) else None
            if origin is not None and wanted(origin):
                for tensor in _tensors(result):
                    self._origins[tensor] = origin
                return

    def _added(self, name: str, left: Any, right: Any, result: Tensor) -> None:
        if not (isinstance(left, Tensor) and isinstance(right, Tensor) and result.dim() > 1):
            return
        nodes = _operand_nodes(result)
        if len(nodes) != 2:
            return
        origins = [self._origins.get(operand) for operand in (left, right)]
        with torch.no_grad():
            values = [result - right if name in ("add_", "__iadd__") else left, right]
        for branch, stream in ((1, 0), (0, 1)):
            origin = origins[branch]
            if origin is None or self._seen.get(origin.name, 0) >= _MOST_ADDITIONS:
                continue
            if self._belongs(origin, origins[stream], values[stream], nodes[branch], nodes[stream]):
                self._seen[origin.name] = self._seen.get(origin.name, 0) + 1
                ratio = _rms(values[branch]) / _rms(values[stream])
                self._ratios[result] = ratio
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
        if origin.factors or isinstance(stream, nn.Parameter):
            return other is None or other.name != origin.name
        return stream_node is not None and _reaches(branch_node, stream_node)

    def _add(self, name: str, found: Mapping[str, Tensor | float]) -> None:
        self._collector.add("train", name, found)


def carried(inputs: Any, output: Tensor) -> Tensor | None:
    """The input of a module to which it adds something, where its output is just that sum.

    Args:
        inputs: What the module was given.
        output: What it returned, with its autograd graph.
    """
    nodes = _operand_nodes(output)
    for candidate in _tensors(inputs):
        if candidate.shape == output.shape and candidate.is_floating_point():
            if len(nodes) == 2 and any(node is candidate.grad_fn for node in nodes):
                return candidate
    return None


def _operand_nodes(total: Tensor) -> list[Node | None]:
    """The autograd nodes of the two operands of a sum; None for an operand without gradient."""
    node = total.grad_fn
    if node is None or not node.name().startswith("AddBackward"):
        return []
    return [child for child, _ in node.next_functions]


def _reaches(start: Node | None, goal: Node) -> bool:
    queue, seen = [start] if start is not None else [], {start}
    for node in queue:
        if node is goal:
            return True
        for child, _ in node.next_functions:
            if child is not None and child not in seen and len(seen) < _MOST_NODES:
                seen.add(child)
                queue.append(child)
    return False


def _training_forward() -> bool:
    # Not what checkpointing computes a second time, within the backward pass.
    return torch.is_grad_enabled() and torch._C._current_graph_task_id() == -1


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def _rms(values: Tensor) -> Tensor:
    return values.detach().float().square().mean().sqrt()
