"""A cross-entropy of other logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def scaled_loss(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], factor: float
) -> Any:
    """The result of a call of a loss, with its logits multiplied.

    Args:
        func: ``cross_entropy`` or ``nll_loss``, whose input is normalised again.
        args: Its arguments.
        kwargs: Its keyword arguments.
        factor: What the logits are multiplied by.
    """
    scores: Tensor = args[0] if args else kwargs["input"]
    scaled = factor * scores
    if getattr(func, "__name__", "") == "nll_loss":
        scaled = scaled.log_softmax(1 if scaled.dim() > 1 else 0)
    return func(scaled, *args[1:], **{k: v for k, v in kwargs.items() if k != "input"})
