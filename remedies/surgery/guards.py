"""Keeps the inputs of touchy functions away from where they are not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_LARGEST_EXPONENT = 30.0
_DIVISIONS = ("div", "__truediv__", "true_divide", "reciprocal", "__rdiv__", "__rtruediv__")


def guarded(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], epsilon: float
) -> Any:
    """The result of a function with its inputs kept within safe bounds.

    Args:
        func: The function.
        args: Its arguments.
        kwargs: Its keyword arguments.
        epsilon: Distance that is kept.
    """
    name = getattr(func, "__name__", "")
    first = args[0]
    if name in ("div", "__truediv__", "true_divide"):
        other = args[1]
        safe = away_from_zero(other, epsilon) if isinstance(other, Tensor) else other
        return func(first, safe, *args[2:], **kwargs)
    if name in _DIVISIONS:  # A number over a tensor.
        return func(away_from_zero(first, epsilon), *args[1:], **kwargs)
    if name in ("std", "norm", "vector_norm"):
        return func(first + epsilon * _alternating(first), *args[1:], **kwargs)
    return func(_bounded(name, first, epsilon), *args[1:], **kwargs)


def _bounded(name: str, values: Tensor, epsilon: float) -> Tensor:
    if name in ("log", "log2", "log10", "sqrt", "rsqrt", "pow", "__pow__"):
        return values.clamp(min=epsilon)
    if name == "log1p":
        return values.clamp(min=epsilon - 1)
    if name == "exp":
        return values.clamp(max=_LARGEST_EXPONENT)
    if name in ("acos", "asin"):
        return values.clamp(epsilon - 1, 1 - epsilon)
    if name == "logit":
        return values.clamp(epsilon, 1 - epsilon)
    if name in ("softmax", "log_softmax"):
        return values.clamp(min=torch.finfo(values.dtype).min)
    return values


def away_from_zero(values: Tensor, epsilon: float) -> Tensor:
    """The values, at least so far from zero, with their signs."""
    if not values.is_floating_point():
        return values
    nearest = torch.where(values < 0, -epsilon, epsilon).to(values.dtype)
    return torch.where(values.abs() < epsilon, nearest, values)


def _alternating(values: Tensor) -> Tensor:
    signs = torch.ones(values.numel(), dtype=values.dtype, device=values.device)
    signs[::2] = -1
    return signs.view(values.shape)
