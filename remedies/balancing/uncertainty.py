"""Uncertainty: a learned variance for each term, in the place of the script's weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node
from torch.optim import Optimizer

from probes.tap.terms import LossTerm, parameters_below, term_nodes
from remedies.surgery.program import Program


class Uncertainty:
    """Trains on the sum of ``exp(-s) / 2 * term + s / 2``, with a parameter ``s`` for each term.

    ``s`` is the logarithm of the term's variance (Kendall et al. 2018). It begins at 0 and joins
    the first parameter group of the optimizer that trains on the loss. What the script does to the
    loss as a whole (gradient scaling, accumulation) is kept.

    Args:
        program: Whose optimizers it joins.
    """

    def __init__(self, program: Program) -> None:
        self._variances: dict[str, nn.Parameter] = {}
        self._fresh: list[nn.Parameter] = []
        self._trained: set[int] = set()
        program.around_steps(self._join, self._clear)

    def factors(self, loss: Tensor, terms: Sequence[LossTerm]) -> list[float]:
        """See `Strategy.factors`; also gives the variances their gradients."""
        whole, weights = _derivatives(loss, terms)
        if not self._trained:
            self._trained = {id(p) for term in terms for p in parameters_below(term.nodes)}
        found = []
        for term, weight in zip(terms, weights, strict=True):
            if len(term.scalars) < len(term.nodes) or not weight or not math.isfinite(weight):
                found.append(1.0)  # Without a value there is no variance to learn.
                continue
            value = math.fsum(float(scalar.value) for scalar in term.scalars)
            logarithm = self._variance(term.name)
            precision = math.exp(-float(logarithm.detach()))
            gradient = torch.full_like(logarithm, whole * (1 - precision * value) / 2)
            held = logarithm.grad
            logarithm.grad = gradient if held is None else held + gradient
            found.append(whole * precision / 2 / abs(weight))
        return found

    def _variance(self, name: str) -> nn.Parameter:
        if name not in self._variances:
            self._variances[name] = nn.Parameter(torch.zeros(()))
            self._fresh.append(self._variances[name])
        return self._variances[name]

    def _join(self, optimizer: Optimizer) -> None:
        groups = optimizer.param_groups
        if self._fresh and any(id(p) in self._trained for g in groups for p in g["params"]):
            groups[0]["params"].extend(self._fresh)
            self._fresh = []

    def _clear(self, optimizer: Optimizer) -> None:
        # ``model.zero_grad()`` of the script would not reach them.
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for parameter in self._variances.values():
            if id(parameter) in held:
                parameter.grad = None


def _derivatives(loss: Tensor, terms: Sequence[LossTerm]) -> tuple[float, list[float]]:
    """Of the loss: by the sum that the script made of its terms, and by each of the terms."""
    assert loss.grad_fn is not None
    joint = _joint(loss.grad_fn)
    nodes: list[Node] = [joint, *(term.nodes[0] for term in terms)]
    edges = [GradientEdge(node, 0) for node in nodes]
    found = torch.autograd.grad(loss, edges, retain_graph=True, allow_unused=True)
    values = [0.0 if one is None else abs(float(one.mean())) for one in found]
    return values[0], values[1:]


def _joint(root: Node) -> Node:
    """The node at which the terms come together, below what is done to the loss as a whole."""
    node = root
    while True:
        children = [child for child, _ in node.next_functions if child is not None]
        if len(children) != 1 or len(term_nodes(children[0])) < 2:
            return node
        node = children[0]
