"""What autograd kept of the calls of a graph tells which of them is not finite."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.graph import Node

from probes.tap.dense import is_plain

_MOST_NODES = 20_000


def nodes_below(loss: Tensor) -> Iterator[Node]:
    """The autograd nodes that a loss was computed by."""
    stack = [loss.grad_fn] if loss.grad_fn is not None else []
    seen = set(stack)
    while stack and len(seen) < _MOST_NODES:
        node = stack.pop()
        yield node
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                stack.append(child)


def leaves_among(nodes: list[Node]) -> list[Tensor]:
    """The parameters whose gradients some nodes gather."""
    found = [getattr(node, "variable", None) for node in nodes]
    return [leaf for leaf in found if isinstance(leaf, Tensor) and is_plain(leaf)]


def breaks(node: Node) -> bool:
    """Whether what a node was given is finite, and what it made of it is not."""
    kept = {name: getattr(node, f"_saved_{name}", None) for name in ("self", "other", "result")}
    tensors = {name: t for name, t in kept.items() if isinstance(t, Tensor) and is_plain(t)}
    given = [t for name, t in tensors.items() if name != "result"]
    if not all(bool(torch.isfinite(t).all()) for t in given):
        return False
    result = tensors.get("result")
    if result is not None:
        return not bool(torch.isfinite(result).all())
    kind = node.name()
    if kind.startswith("Log") and "self" in tensors:
        return bool((tensors["self"] <= (-1 if kind.startswith("Log1P") else 0)).any())
    if kind.startswith("Div") and "other" in tensors:
        return bool((tensors["other"] == 0).any())
    if kind.startswith(("Acos", "Asin")) and "self" in tensors:
        return bool((tensors["self"].abs() > 1).any())
    return False
