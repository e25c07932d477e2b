"""Watches which activation function the input of a loss comes out of."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

from probes._loss_functions import REGRESSIONS
from probes.tap.calls import CallLog
from probes.tap.class_targets import DIFFERENCES, class_targets, operands
from probes.tap.dense import is_dense_float
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.noise_places import module_at_work
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded

LOSSES = {
    "cross_entropy": "logits",
    "binary_cross_entropy_with_logits": "logits",
    "nll_loss": "logarithms",
    "kl_div": "logarithms",
    "mse_loss": "values",
    "l1_loss": "values",
    "smooth_l1_loss": "values",
    "huber_loss": "values",
}
"""Losses whose input is looked at, and what they take."""
_VIEWED = re.compile(
    r"^(View|Reshape|UnsafeView|Squeeze|Unsqueeze|T|Transpose|Permute|ToCopy|Clone|Alias|Select"
    r"|Slice|Index|Expand|Split|Chunk|Unbind)Backward\w*$"
)
_ACTIVATION = re.compile(r"^(Softmax|Sigmoid|Relu|Tanh)Backward\d*$")
_ACTIVATIONS = (
    "softmax", "special_softmax", "sigmoid", "sigmoid_", "special_expit", "relu", "relu_", "tanh",
    "tanh_",
)  # fmt: skip
_MOST_VIEWS = 20
_TOLERANCE = 1e-3


class LossInputWatch:
    """Finds the activation function that made the input of a loss, on the autograd graph.

    Args:
        sources: Tells the user's lines.
        tree: Names the modules.
        calls: Tells of the calls.
        collector: Takes ``loss.activated``, 1 or 0, at ``LINE|PLACE|ACTIVATION|LOSS``: the line of
            the loss, the module or line that made the activation, and the names of the two. Where
            no activation is in the graph, ``probabilities`` stands for an input whose values are
            such, and ``scores`` for one that cannot be logarithms of them. Of regression losses
            and differences of a softmax or sigmoid and its targets, what `class_targets` says, too.
    """

    def __init__(
        self, sources: Sources, tree: ModuleTree, calls: CallLog, collector: Collector
    ) -> None:
        self._sources = sources
        self._tree = tree
        self._collector = collector
        self._on = False
        self._places: dict[Node, str] = {}
        calls.listen(self._note, {*LOSSES, *REGRESSIONS, *DIFFERENCES, *_ACTIVATIONS})

    def switch_on(self) -> None:
        """Watch the next step."""
        self._on = True

    def switch_off(self) -> None:
        """Watch no more, and let go of the graphs."""
        self._on = False
        self._places = {}

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or not isinstance(result, Tensor) or not result.requires_grad:
            return
        name = getattr(func, "__name__", "")
        if name in LOSSES:
            scores = args[0] if args else kwargs.get("input")
            if is_dense_float(scores) and scores.grad_fn is not None:
                self._look(name, scores, args, kwargs)
        elif name in DIFFERENCES:
            pair = operands(name, args, kwargs)
            if pair is not None and pair[0].grad_fn is not None:
                self._look(name, pair[0], args, kwargs)
        elif result.grad_fn is not None and _ACTIVATION.match(result.grad_fn.name()):
            self._places[result.grad_fn] = self._place()

    def _look(
        self, loss: str, scores: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        line = self._sources.line() or ""
        node = activation_of(scores)
        if node is not None:
            kind = node.name().partition("Backward")[0].lower()
            place = self._places.get(node, line)
            where = f"{line}|{place}|{kind}|{loss}"
            found: dict[str, Tensor | float] = {"loss.activated": 1.0}
            pair = operands(loss, args, kwargs)
            if pair is not None:
                with unrecorded():
                    found |= class_targets(kind, *pair)
            if loss in LOSSES or len(found) > 1:
                self._collector.add("train", where, found)
            return
        if loss not in LOSSES:
            return
        with unrecorded():
            for kind, share in _by_values(loss, scores.detach()).items():
                where = f"{line}|{line}|{kind}|{loss}"
                self._collector.add("train", where, {"loss.activated": share})

    def _place(self) -> str:
        """The activation module at work, or else the user's line."""
        module = module_at_work(self._tree)
        if (
            module is not None
            and not module._modules
            and not any(True for _ in module.parameters())
        ):
            return self._tree.name(module) or self._sources.line() or ""
        return self._sources.line() or ""


def activation_of(scores: Tensor) -> Node | None:
    """The node of the activation that a tensor is, however viewed; None where it is none."""
    node = scores.grad_fn
    for _ in range(_MOST_VIEWS):
        if node is None or _ACTIVATION.match(node.name()):
            return node
        if not _VIEWED.match(node.name()) or not node.next_functions:
            return None
        node = node.next_functions[0][0]
    return None


def _by_values(loss: str, scores: Tensor) -> dict[str, Tensor]:
    if LOSSES[loss] == "values":
        return {}
    dim = 1 if scores.dim() > 1 else 0
    within = ((scores >= 0) & (scores <= 1)).all()
    if loss == "binary_cross_entropy_with_logits":
        return {"probabilities": within.float()}
    if scores.shape[dim] < 2:
        return {}
    sums = scores.float().sum(dim)
    summed = within & ((sums - 1).abs() < _TOLERANCE).all()
    found = {"probabilities": summed.float()}
    if loss == "nll_loss":
        # No logarithm of a probability is above zero; weighted ones (focal) are not, either.
        above = (scores.amax(dim) > _TOLERANCE).float().mean() > 0.5
        found["scores"] = (above & ~summed).float()
    return found
