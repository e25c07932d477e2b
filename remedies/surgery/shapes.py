"""Gives targets the shape of the predictions that they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probes.tap.broadcasts import ARITHMETIC, LOSSES, inflation, is_mistaken
from probes.tap.dense import is_dense

_NAMES = ("input", "target")


class AlignedShapes:
    """Reshapes the target in calls in which it would be broadcast against the predictions.

    In evaluation, where nothing has a gradient, differences are aligned as well once one was in
    training, so that an error that the script reports is one of pairs that belong together.

    Args:
        tell: Called when a call was changed.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._found = False

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        name = getattr(func, "__name__", "")
        if name in LOSSES:
            given = dict(zip(_NAMES, args, strict=False)) | kwargs
            one, other = given.get("input"), given.get("target")
            if not is_dense(one) or not is_dense(other) or given.get("reduction") == "none":
                return NotImplemented
            if inflation(one, other) <= 1:
                return NotImplemented
            self._say(one, other)
            given["target"] = other.reshape(one.shape)
            first, second = given.pop("input"), given.pop("target")
            return func(first, second, *args[2:], **given)
        if name in ARITHMETIC and len(args) > 1 and is_dense(args[0]) and is_dense(args[1]):
            return self._arithmetic(func, args, kwargs)
        return NotImplemented

    def _arithmetic(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        one, other = args[0], args[1]
        evaluated = self._found and not torch.is_grad_enabled() and one.dim() != other.dim()
        if not is_mistaken(one, other) and not (evaluated and inflation(one, other) > 1):
            return NotImplemented
        if one.requires_grad or not other.requires_grad:
            self._say(one, other)
            return func(one, other.reshape(one.shape), *args[2:], **kwargs)
        self._say(other, one)
        return func(one.reshape(other.shape), other, *args[2:], **kwargs)

    def _say(self, predicted: Tensor, target: Tensor) -> None:
        if not self._found:
            self._found = True
            self._tell(f"target {tuple(target.shape)} now {tuple(predicted.shape)}")
