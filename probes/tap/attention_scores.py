"""The scores that attention puts through its softmax, of some samples, and how sharp they are."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from probes._signatures import SCALED_PRODUCT
from probes.tap.dense import is_dense_float
from probes.tap.statistics import stride

_MOST_MAPS = 8
_MOST_QUERIES = 64
_MOST_KEYS = 1024
_SHORTEST = 4
_ROUNDING = 1e-2
"""Of a sum of weights in half precision."""
_MASKED = -9999.0
"""Scores from which on downwards a key counts as masked."""


def score_statistics(scores: Tensor) -> dict[str, Tensor]:
    """How sharp attention is.

    Args:
        scores: What is put through the softmax, keys in the last dimension.

    Returns:
        ``attention.scale``: standard deviation of a query's scores over the keys that it may look
        at. ``attention.entropy``: entropy of its weights over that of equal ones, 0 for one-hot,
        1 for uniform. ``attention.top``: its largest weight. ``attention.keys``: how many keys it
        has. ``attention.twice``: 1 where the scores are weights already: none below 0, their sum 1.
        All are averaged over queries with at least two keys; nothing where there are none.
    """
    rows = scores.detach().flatten(0, -2) if scores.dim() > 2 else scores.detach()
    rows = rows[:: stride(len(rows), _MOST_MAPS * _MOST_QUERIES)].float()
    if rows.dim() != 2 or not 2 <= rows.shape[1] <= _MOST_KEYS:
        return {}
    allowed = rows > _MASKED  # NaN is not.
    count = allowed.sum(1)
    counted = (count >= 2).float()
    total = counted.sum().clamp(min=1)
    keys = count.clamp(min=1).float()
    known = rows.masked_fill(~allowed, 0.0)
    mean = known.sum(1) / keys
    spread = ((known - mean[:, None]).masked_fill(~allowed, 0.0).square().sum(1) / keys).sqrt()
    weights = rows.masked_fill(~allowed, -math.inf).softmax(1).nan_to_num()
    entropy = torch.special.entr(weights).sum(1) / keys.clamp(min=2).log()
    twice = are_weights(known, 1).float()
    found = {"scale": spread, "entropy": entropy, "top": weights.amax(1), "keys": keys}
    found["twice"] = twice
    return {f"attention.{name}": (v * counted).sum() / total for name, v in found.items()}


def ahead_statistics(scores: Tensor) -> dict[str, Tensor | float]:
    """Whether attention among the places of a sequence looks at the places to come.

    Args:
        scores: What is put through the softmax, shape (..., queries, keys).

    Returns:
        ``attention.ahead``: share of the queries in the second half of the sequence that may look
        at the place behind theirs (the first half may be a prompt, which is seen as a whole).
        ``attention.length``: places. Nothing where queries and keys differ in number.
    """
    length = scores.shape[-1]
    if scores.dim() < 2 or scores.shape[-2] != length or length < _SHORTEST:
        return {}
    maps = scores.detach()
    while maps.dim() > 3:
        maps = maps[:, 0]  # Of one head. No reshape: it might copy them all.
    behind = maps[:_MOST_MAPS].diagonal(1, -2, -1)[..., length // 2 :]
    return {"attention.ahead": (behind > _MASKED).float().mean(), "attention.length": float(length)}


def are_weights(values: Tensor, axis: int) -> Tensor:
    """Which rows along an axis are a softmax's result: none below 0, their sum 1."""
    return (values >= 0).all(axis) & ((values.float().sum(axis) - 1).abs() < _ROUNDING)


def of_scaled_product(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor | None:
    """The scores of a call of ``scaled_dot_product_attention``, of some samples and heads."""
    given = {**dict(zip(SCALED_PRODUCT, args, strict=False)), **kwargs}
    query, key = given["query"], given["key"]
    if not (is_dense_float(query) and is_dense_float(key)) or query.dim() < 2:
        return None
    if query.shape[:-2] != key.shape[:-2]:  # Fewer heads of keys: the first of each.
        query, key = query[..., :1, :, :], key[..., :1, :, :]
    if query.shape[:-2] != key.shape[:-2]:
        return None
    mask = given.get("attn_mask")
    shape = (*query.shape[:-1], key.shape[-2])
    if isinstance(mask, Tensor):
        mask = _flat(mask.detach().expand(shape))
    elif given.get("is_causal"):
        mask = torch.ones(shape[-2:], dtype=torch.bool, device=query.device).tril()
    return _scores(_flat(query), _flat(key), given.get("scale"), mask)


def of_multi_head(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor | None:
    """The scores of a call of ``multi_head_attention_forward``, of some samples."""
    given = _signature().bind(*args, **kwargs).arguments
    query, key = given["query"], given["key"]
    if not (is_dense_float(query) and is_dense_float(key)) or query.dim() != 3:
        return None
    heads, bias = given["num_heads"], given.get("in_proj_bias")
    if given.get("use_separate_proj_weight"):
        weights = [given["q_proj_weight"], given["k_proj_weight"]]
    else:
        weights = list(given["in_proj_weight"].chunk(3)[:2])
    biases = list(bias.chunk(3)[:2]) if bias is not None else [None, None]
    some = slice(0, max(1, _MOST_MAPS // heads))
    projected = []
    for values, weight, shift in zip((query, key), weights, biases, strict=True):
        out = functional.linear(values[:, some].detach(), weight.detach(), shift)
        parts = out.reshape(*out.shape[:2], heads, -1).permute(1, 2, 0, 3)
        projected.append(parts.detach())
    queries, keys = (each.flatten(0, 1) for each in projected)
    scores = _scores(queries, keys, None, None)
    scores = scores.reshape(-1, heads, *scores.shape[1:])
    mask, padding = given.get("attn_mask"), given.get("key_padding_mask")
    if isinstance(mask, Tensor):
        mask = mask if mask.dim() == 2 else mask.reshape(-1, heads, *mask.shape[1:])[some]
        scores = _masked(scores, mask)
    if isinstance(padding, Tensor):
        scores = _masked(scores, padding[some, None, None, :])
    return scores


@cache
def _signature() -> inspect.Signature:
    return inspect.signature(functional.multi_head_attention_forward)


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores with a mask as ``nn.MultiheadAttention`` takes it: True may not be looked at."""
    return scores.masked_fill(mask, -math.inf) if mask.dtype == torch.bool else scores + mask


def _flat(values: Tensor) -> Tensor:
    return values.detach().flatten(0, -3)[:_MOST_MAPS] if values.dim() > 2 else values.detach()


def _scores(query: Tensor, key: Tensor, scale: float | None, mask: Tensor | None) -> Tensor:
    factor = scale if scale is not None else 1 / math.sqrt(query.shape[-1])
    scores = factor * (query.float() @ key.float().transpose(-1, -2))
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
