"""Gives classification losses the weights of their classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probes._class_weights import are_upside_down
from probes._loss_functions import BINARY, CATEGORICAL
from probes.tap.dense import is_dense

_LARGEST = 100.0


class ClassWeights:
    """Counts labels and weighs the classes in the calls of losses in training.

    Args:
        power: Power of the inverse share that is the weight.
        tell: Called when a call was given weights.
    """

    def __init__(self, power: float, tell: Callable[[str], None]) -> None:
        self._power = power
        self._tell = tell
        self._counts: dict[int, Tensor] = {}

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        name = getattr(func, "__name__", "")
        if name not in (*CATEGORICAL, *BINARY) or len(args) > 2:
            return NotImplemented
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        scores, labels = given.pop("input"), given.pop("target")
        if not is_dense(scores) or not is_dense(labels) or not scores.requires_grad:
            return NotImplemented
        own = given.get("weight")
        if given.get("pos_weight") is not None or (own is not None and name in BINARY):
            return NotImplemented
        with torch.no_grad(), torch._C.DisableTorchFunction():
            found = self._weights(name, scores, labels, given)
            if found is None or (own is not None and not self._are_upside_down(own)):
                return NotImplemented
        self._tell("classes weighed")
        return func(scores, labels, **{**given, "weight": found})

    def _weights(
        self, name: str, scores: Tensor, labels: Tensor, given: dict[str, Any]
    ) -> Tensor | None:
        if name in BINARY:
            balance = self._balance(torch.stack(((labels < 0.5).sum(), (labels >= 0.5).sum())))
            return torch.where(labels >= 0.5, balance[1], balance[0]).to(scores)
        if labels.is_floating_point():
            return None
        classes = scores.shape[1 if scores.dim() > 1 else 0]
        kept = labels[labels != given.get("ignore_index", -100)].flatten()
        return self._balance(torch.bincount(kept, minlength=classes)).to(scores)

    def _are_upside_down(self, weights: Tensor) -> bool:
        counts = self._counts[len(weights)]
        return are_upside_down(weights.tolist(), counts.tolist())

    def _balance(self, counts: Tensor) -> Tensor:
        """Weights of the classes by all labels so far, with a mean of one over the samples."""
        total = self._counts.get(len(counts), torch.zeros(())).to(counts.device) + counts
        self._counts[len(counts)] = total
        share = (total + 1.0) / (total + 1.0).sum()
        weights = (1 / (share * len(share))).clamp_max(_LARGEST) ** self._power
        return weights / (weights * share).sum()
