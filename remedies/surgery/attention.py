"""Attention with other scores."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch

from probes._signatures import SCALED_PRODUCT


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


def along_last_axis(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a softmax along the last axis in the place of its own."""
    if len(args) > 1:
        return func(args[0], -1, *args[2:], **kwargs)
    return func(*args, **{**kwargs, "dim": -1})


def masked_call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of such a call where no place of a sequence looks at those behind it.

    `NotImplemented` where queries and keys differ in number, as with another sequence or a single
    new token.
    """
    name = getattr(func, "__name__", "")
    if name == "softmax":
        scores = args[0] if args else kwargs["input"]
        if scores.dim() < 2 or scores.shape[-1] != scores.shape[-2]:
            return NotImplemented
        masked = scores.masked_fill(_later(scores.shape[-1], scores), -math.inf)
        return func(masked, *args[1:], **{k: v for k, v in kwargs.items() if k != "input"})
    if name == "scaled_dot_product_attention":
        given = dict(zip(SCALED_PRODUCT, args, strict=False)) | kwargs
        axis, hides = -2, False
    else:
        given = dict(inspect.signature(func).bind(*args, **kwargs).arguments)
        axis, hides = 0, True
    query, length = given["query"], given["query"].shape[axis]
    if given["key"].shape[axis] != length:
        return NotImplemented
    mask = _also(given.get("attn_mask"), _later(length, query), hides)
    return func(**given | {"attn_mask": mask, "is_causal": False})


def _later(length: int, like: torch.Tensor) -> torch.Tensor:
    return torch.ones(length, length, dtype=torch.bool, device=like.device).triu(1)


def _also(mask: torch.Tensor | None, later: torch.Tensor, is_hiding: bool) -> torch.Tensor:
    """A mask that hides what comes later as well.

    Args:
        mask: The one that was given: of numbers that are added, or of bools.
        later: True for what comes later.
        is_hiding: Whether True hides; else it shows.
    """
    if mask is None:
        return later if is_hiding else ~later
    if mask.dtype == torch.bool:
        return mask | later if is_hiding else mask & ~later
    return mask.masked_fill(later, -math.inf)


def _queries_scaled(values: torch.Tensor, width: int, factor: float) -> torch.Tensor:
    """Weights or biases of queries, keys and values on top of each other, shape (3 width, ...)."""
    return torch.cat([values[:width] * factor, values[width:]])
