"""Gives a loss the input of the activation function that its own input came out of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

_ACTIVATIONS = {"softmax": "softmax", "sigmoid": "sigmoid", "special_expit": "sigmoid"}
_BOUNDS = {"relu": "relu", "tanh": "tanh"}
_VIEWS = {
    "view", "reshape", "squeeze", "unsqueeze", "flatten", "unflatten", "permute", "transpose", "t",
    "movedim", "swapaxes", "contiguous", "clone", "float", "double", "to", "select", "narrow",
    "__getitem__", "expand", "detach",
}  # fmt: skip
_RAW = ("cross_entropy", "binary_cross_entropy_with_logits")
_LOGARITHMS = ("nll_loss", "kl_div")
_SMALLEST = 1e-7


class Unactivated:
    """Remembers what activations were given, and hands it to the losses that are given theirs.

    The rest of the program goes on with the output of the activation. In evaluation the same is
    done, so that a reported loss is that of the corrected call.

    Args:
        tell: Called when a loss was given another input.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._given: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        name = getattr(func, "__name__", "")
        first = args[0] if args else kwargs.get("input")
        if not isinstance(first, Tensor):
            return NotImplemented
        if name in _ACTIVATIONS or name in _BOUNDS:
            result = func(*args, **{key: v for key, v in kwargs.items() if key != "inplace"})
            self._given[result] = first, _ACTIVATIONS.get(name, name)
            return result
        if name in _VIEWS and first in self._given:
            result = func(*args, **kwargs)
            before, kind = self._given[first]
            rest = args[1:], {key: v for key, v in kwargs.items() if key != "input"}
            self._given[result] = func(before, *rest[0], **rest[1]), kind
            return result
        if name in _RAW or name in _LOGARITHMS:
            return self._loss(func, name, first, args, kwargs)
        return NotImplemented

    def _loss(
        self,
        func: Callable[..., Any],
        name: str,
        first: Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        given, kind = self._given[first] if first in self._given else (None, "")
        scores = _raw_scores(name, first, given, kind)
        if scores is None:
            return NotImplemented
        self._tell(f"{name} is given what it takes")
        rest = {key: value for key, value in kwargs.items() if key != "input"}
        return func(scores, *args[1:], **rest)


def _raw_scores(name: str, first: Tensor, given: Tensor | None, kind: str) -> Tensor | None:
    """What the loss should be given; None where it is that already."""
    dim = 1 if first.dim() > 1 else 0
    if name in _RAW:
        if given is not None and given.shape == first.shape:
            return given
        if name == "cross_entropy" and _are_shares(first, dim):
            return first.clamp_min(_SMALLEST).log()
        return None
    dim = dim if name == "nll_loss" else -1
    if given is not None and given.shape == first.shape and kind in ("softmax", "sigmoid"):
        return functional.log_softmax(given, dim)
    if _are_shares(first, dim):
        return first.clamp_min(_SMALLEST).log()
    if name == "nll_loss" and bool((first.detach().amax(dim) > 1e-3).float().mean() > 0.5):
        return functional.log_softmax(first, dim)
    return None


@torch.no_grad()
def _are_shares(values: Tensor, dim: int) -> bool:
    """Whether the values along a dimension are probabilities that sum to one."""
    if values.shape[dim] < 2 or bool((values < 0).any()):
        return False
    return bool(((values.float().sum(dim) - 1).abs() < 1e-3).all())
