"""Attention with other scores."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch


def scaled_call(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], factor: float
) -> Any:
    """The result of a call that computes attention, or a softmax, with its scores scaled.

    Args:
        func: ``softmax``, ``scaled_dot_product_attention`` or ``multi_head_attention_forward``.
        args: Its arguments.
        kwargs: Its keyword arguments.
        factor: What the scores are multiplied by.
    """
    name = getattr(func, "__name__", "")
    if name == "softmax":
        if args:
            return func(args[0] * factor, *args[1:], **kwargs)
        return func(**{**kwargs, "input": kwargs["input"] * factor})
    if name == "scaled_dot_product_attention":
        query = args[0] if args else kwargs["query"]
        positional = args[:6]  # A scale comes seventh.
        given = args[6] if len(args) > 6 else kwargs.get("scale")
        usual = given if given is not None else 1 / math.sqrt(query.shape[-1])
        return func(*positional, **{**kwargs, "scale": usual * factor})
    bound = inspect.signature(func).bind(*args, **kwargs)
    given = bound.arguments
    width = given["embed_dim_to_check"]
    if given.get("use_separate_proj_weight"):
        given["q_proj_weight"] = given["q_proj_weight"] * factor
    else:
        given["in_proj_weight"] = _queries_scaled(given["in_proj_weight"], width, factor)
    if given.get("in_proj_bias") is not None:
        given["in_proj_bias"] = _queries_scaled(given["in_proj_bias"], width, factor)
    return func(*bound.args, **bound.kwargs)


def _queries_scaled(values: torch.Tensor, width: int, factor: float) -> torch.Tensor:
    """Weights or biases of queries, keys and values on top of each other, shape (3 width, ...)."""
    return torch.cat([values[:width] * factor, values[width:]])
