"""Watches for predictions and targets that are broadcast against each other by mistake."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

from probes.tap.calls import CallLog
from probes.tap.dense import is_dense
from probes.tap.locate import Sources
from probes.tap.losses import LossWatch
from probes.tap.statistics import Collector
from probes.tap.terms import LossTerm

LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss")
ARITHMETIC = {"sub", "subtract", "__rsub__", "mul", "multiply"}
_REDUCED = re.compile(r"^(Mean|Sum|Norm|LinalgVectorNorm)Backward\d*$")
_SCALAR = re.compile(r"^(Neg|Sqrt|Pow|Log|Clamp|ClampMin)Backward\d*$")
_JOINS = re.compile(
    r"^(Sum|Mean|Norm|LinalgVectorNorm|Logsumexp|Amax|Amin|Max|Min|Softmax|LogSoftmax|Mm|Bmm|Addmm"
    r"|Mv|Dot|Cumsum|Sort|Gather|Index|Select|Slice|Diagonal|Triu|Tril|MaskedFill|MaskedSelect|Topk"
    r"|Prod|Std|Var)Backward\d*$"
)
_MOST_NODES = 40


class BroadcastWatch:
    """Looks at the shapes of predictions and targets, in calls of losses and in plain arithmetic.

    A difference or product counts where the loss is the mean or sum over all of it, with nothing
    but element-wise functions in between: pairwise losses and distances reduce, mask or sort one
    of the two dimensions, or have a gradient on both sides.

    Args:
        sources: Tells the user's lines: they are where.
        calls: Tells of the calls.
        losses: Tells of the losses and their graphs.
        collector: Takes ``loss.broadcast``, 1 where the shapes differ and were broadcast, else 0;
            and ``loss.inflation``, elements of the result over those of the larger operand.
    """

    def __init__(
        self, sources: Sources, calls: CallLog, losses: LossWatch, collector: Collector
    ) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False
        self._noted: dict[Node, tuple[str, float]] = {}
        calls.listen(self._note, {*LOSSES, *ARITHMETIC})
        losses.probed.append(self._look)

    def switch_on(self) -> None:
        """Watch the next step."""
        self._on = True

    def switch_off(self) -> None:
        """Watch no more, and let go of the graphs."""
        self._on = False
        self._noted = {}

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or not isinstance(result, Tensor) or not result.requires_grad:
            return
        name = getattr(func, "__name__", "")
        if name in LOSSES:
            given = dict(zip(("input", "target"), args, strict=False)) | kwargs
            one, other = given.get("input"), given.get("target")
            if is_dense(one) and is_dense(other) and given.get("reduction", "mean") != "none":
                inflated = inflation(one, other)
                self._add(self._sources.line() or "", inflated)
        elif name in ARITHMETIC and len(args) > 1 and result.grad_fn is not None:
            one, other = args[0], args[1]
            if is_dense(one) and is_dense(other) and is_mistaken(one, other):
                self._noted[result.grad_fn] = self._sources.line() or "", inflation(one, other)

    def _look(self, loss: Tensor, terms: list[LossTerm]) -> None:
        if self._noted:
            for node in _averaged([node for term in terms for node in term.nodes]):
                if node in self._noted:
                    self._add(*self._noted[node])

    def _add(self, line: str, inflated: float) -> None:
        found = {"loss.broadcast": float(inflated > 1), "loss.inflation": inflated}
        self._collector.add("train", line, found)


def inflation(one: Tensor, other: Tensor) -> float:
    """How many times as large as the larger of two tensors their broadcast shape is.

    1 unless both have the same sizes but for dimensions of size 1; and where the one without
    gradient is the same everywhere (the labels of a discriminator), which does no harm.
    """
    same = [size for size in one.shape if size > 1] == [size for size in other.shape if size > 1]
    if one.shape == other.shape or not same:
        return 1.0
    constant = other if one.requires_grad else one
    if bool((constant.detach() == constant.detach().flatten()[0]).all()):
        return 1.0
    sizes = itertools.zip_longest(reversed(one.shape), reversed(other.shape), fillvalue=1)
    elements = 1
    for left, right in sizes:
        if left != right and 1 not in (left, right):
            return 1.0
        elements *= max(left, right)
    return elements / one.numel()


def is_mistaken(one: Tensor, other: Tensor) -> bool:
    """Whether arithmetic of a prediction and a target, (N, 1) and (N,) say, was broadcast.

    One of the two has been computed with gradient, the other one has none; as many dimensions on
    both sides are a broadcast that was written on purpose.
    """
    if one.requires_grad == other.requires_grad or one.dim() == other.dim():
        return False
    predicted = one if one.requires_grad else other
    return predicted.grad_fn is not None and inflation(one, other) > 1


def _averaged(roots: Sequence[Node]) -> list[Node]:
    """The nodes that are averaged or summed into a scalar with only element-wise ones between."""
    queue = [
        child
        for root in map(_below_functions, roots)
        if _REDUCED.match(root.name())
        for child, _ in root.next_functions
        if child is not None
    ]
    seen = set(queue)
    for node in queue:
        if _JOINS.match(node.name()):
            continue
        for child, _ in node.next_functions:
            if child is not None and child not in seen and len(seen) < _MOST_NODES:
                seen.add(child)
                queue.append(child)
    return [node for node in queue if not _JOINS.match(node.name())]


def _below_functions(node: Node) -> Node:
    """The node that a root, power or logarithm of a scalar was taken of."""
    for _ in range(_MOST_NODES):
        below = node.next_functions[0][0] if node.next_functions else None
        if below is None or not _SCALAR.match(node.name()):
            break
        node = below
    return node
