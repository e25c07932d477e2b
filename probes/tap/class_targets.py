"""What a regression loss of probabilities and class labels leaves of the gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from probes._loss_functions import REGRESSIONS
from probes.tap.dense import is_dense, is_dense_float

DIFFERENCES = ("sub", "subtract", "__sub__", "__rsub__")


def operands(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, Tensor] | None:
    """Prediction and target of a regression loss or of a difference; None where it has none.

    They have the same shape; of a difference, the one with gradient is the prediction.
    """
    if name in REGRESSIONS:
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        one, other = given.get("input"), given.get("target")
    elif name in DIFFERENCES and len(args) > 1:
        one, other = args[0], args[1]
    else:
        return None
    if not is_dense(one) or not is_dense(other) or one.shape != other.shape:
        return None
    if one.requires_grad == other.requires_grad or not one.dim():
        return None
    one, other = (one, other) if one.requires_grad else (other, one)
    return (one, other) if is_dense_float(one) else None


def is_classes(kind: str, target: Tensor) -> Tensor:
    """Whether targets are labels of classes: 0 and 1, and both of them.

    Args:
        kind: ``softmax``, where one of each row must be 1 unless it is a single number, or
            ``sigmoid``.
        target: Shape (samples, ...), the classes next to the samples.
    """
    labels = ((target == 0) | (target == 1)).all() & (target == 1).any() & (target == 0).any()
    if kind == "softmax" and target.dim() > 1 and target.shape[1] > 1:
        dim = _classes(target)
        labels = labels & (target.sum(dim) == 1).all()
    return labels


def class_targets(kind: str, predicted: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Whether the targets of a regression are labels, and what is left of the gradient.

    Args:
        kind: The activation that made the predictions.
        predicted: Shape (samples, ...).
        target: The same shape.

    Returns:
        ``loss.class_targets``: 1 where the targets are labels of classes, else 0.
        ``loss.gradient_kept``: norm of the gradient of the mean squared error with respect to the
        scores before the activation, over that of the cross-entropy at the same predictions.
        Nothing where the activation is no softmax or sigmoid.
    """
    if kind not in ("softmax", "sigmoid"):
        return {}
    said, wanted = predicted.detach().double(), target.detach().double()
    error = said - wanted
    if kind == "softmax" and said.dim() > 1 and said.shape[1] > 1:
        dim = _classes(wanted)
        kept = said * (error - (said * error).sum(dim, keepdim=True)) / said.shape[dim]
    else:
        kept = error * said * (1 - said)
    share = 2 * kept.norm() / error.norm().clamp_min(1e-12)
    return {"loss.class_targets": is_classes(kind, target).float(), "loss.gradient_kept": share}


def _classes(target: Tensor) -> int:
    """The dimension of the classes: the one along which each position has one label, or the 2nd."""
    last = target.dim() - 1
    return last if bool(torch.all(target.sum(last) == 1)) else 1
