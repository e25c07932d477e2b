"""What was added to what: read off the autograd graph of a sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

_MOST_NODES = 500


def carried(inputs: Any, output: Tensor) -> Tensor | None:
    """The input of a module to which it adds something, where its output is just that sum.

    Args:
        inputs: What the module was given.
        output: What it returned, with its autograd graph.
    """
    nodes = operand_nodes(output)
    for candidate in tensors_in(inputs):
        if candidate.shape == output.shape and candidate.is_floating_point():
            if len(nodes) == 2 and any(node is candidate.grad_fn for node in nodes):
                return candidate
    return None


def operand_nodes(total: Tensor) -> list[Node | None]:
    """The autograd nodes of the two operands of a sum; None for an operand without gradient."""
    node = total.grad_fn
    if node is None or not node.name().startswith("AddBackward"):
        return []
    return [child for child, _ in node.next_functions]


def reaches(start: Node | None, goal: Node) -> bool:
    """Whether what a node gives was computed from what another one gives."""
    queue, seen = [start] if start is not None else [], {start}
    for node in queue:
        if node is goal:
            return True
        for child, _ in node.next_functions:
            if child is not None and child not in seen and len(seen) < _MOST_NODES:
                seen.add(child)
                queue.append(child)
    return False


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a module's inputs or output."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)
