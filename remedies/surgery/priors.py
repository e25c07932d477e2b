"""How often each label occurs, read from a call of a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probes._loss_functions import BINARY, CATEGORICAL


def log_prior(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], outputs: int
) -> Tensor | None:
    """What the outputs should be before anything is learned of the inputs.

    Args:
        func: A torch function. Only losses with labels, with gradient, tell something.
        args: Its arguments: predictions and labels first.
        kwargs: Its keyword arguments.
        outputs: Number of values of the bias.

    Returns:
        Shape (outputs,): log frequencies of the classes, or log odds of each output, smoothed by
        one more occurrence of each; None where the call does not tell.
    """
    name = getattr(func, "__name__", "")
    if name not in (*CATEGORICAL, *BINARY) or not torch.is_grad_enabled():
        return None
    given = dict(zip(("input", "target"), args, strict=False)) | kwargs
    predictions, labels = given["input"], given["target"]
    if not predictions.requires_grad:
        return None
    with torch.no_grad(), torch._C.DisableTorchFunction():
        if name in BINARY:
            return _log_odds(labels.detach(), outputs)
        classes = predictions.shape[1 if predictions.dim() > 1 else 0]
        if classes != outputs:
            return None
        counts = _counts(labels.detach(), classes, given.get("ignore_index", -100))
        frequencies: Tensor = (counts + 1) / (counts.sum() + classes)
        return frequencies.log()


def _counts(labels: Tensor, classes: int, ignored: int) -> Tensor:
    if labels.is_floating_point():  # probabilities, shape (batch, classes, ...)
        return labels.double().movedim(1 if labels.dim() > 1 else 0, -1).reshape(-1, classes).sum(0)
    return torch.bincount(labels[labels != ignored].flatten(), minlength=classes).double()


def _log_odds(labels: Tensor, outputs: int) -> Tensor | None:
    if outputs == 1:
        rows = labels.double().reshape(-1, 1)
    elif labels.dim() > 1 and labels.shape[1] == outputs:
        rows = labels.double().movedim(1, -1).reshape(-1, outputs)
    else:
        return None
    chance = (rows.sum(0) + 1) / (len(rows) + 2)
    return (chance / (1 - chance)).log()
