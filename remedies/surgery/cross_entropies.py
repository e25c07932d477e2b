"""Has the gradient of a cross-entropy flow back from a squared error of probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from probes._loss_functions import REGRESSIONS
from probes.tap.class_targets import DIFFERENCES, is_classes, operands

_ACTIVATIONS = {"softmax": "softmax", "sigmoid": "sigmoid", "special_expit": "sigmoid"}
_VIEWS = {
    "view", "reshape", "squeeze", "unsqueeze", "flatten", "contiguous", "float", "double", "to",
    "permute", "transpose", "movedim",
}  # fmt: skip
_POWERS = {"square", "pow", "__pow__", "abs", "mul", "__mul__"}


class CrossEntropies:
    """Remembers what activations were given, and trains on the cross-entropy of it.

    The value that the program sees stays that of its own loss; the gradient is that of the
    cross-entropy. What is not trained on is left alone.

    Args:
        tell: Called when a loss has another gradient.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._given: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._errors: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        name = getattr(func, "__name__", "")
        first = args[0] if args else kwargs.get("input")
        if not isinstance(first, Tensor) or not torch.is_grad_enabled():
            return NotImplemented
        if name in _ACTIVATIONS:
            result = func(*args, **kwargs)
            self._given[result] = first, _ACTIVATIONS[name]
            return result
        if name in _VIEWS and first in self._given:
            return self._viewed(func, first, args, kwargs)
        if name in REGRESSIONS:
            return self._loss(func, args, kwargs)
        if name in DIFFERENCES:
            result = func(*args, **kwargs)
            found = self._cross_entropy(name, args, kwargs)
            if found is not None:
                self._errors[result] = found
            return result
        if first in self._errors:
            return self._of_error(func, name, first, args, kwargs)
        return NotImplemented

    def _viewed(
        self, func: Callable[..., Any], first: Tensor, args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        result = func(*args, **kwargs)
        before, kind = self._given[first]
        rest = {key: value for key, value in kwargs.items() if key != "input"}
        # A softmax is one over the dimension that it was taken over.
        if kind == "sigmoid" or result.shape == first.shape:
            self._given[result] = func(before, *args[1:], **rest), kind
        return result

    def _loss(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = self._cross_entropy(func.__name__, args, kwargs)
        if found is None:
            return NotImplemented
        value, (losses, classes) = func(*args, **kwargs), found
        if value.shape == losses.shape:
            value = _with_value(value, losses)
            self._errors[value] = found
            return value
        summed = kwargs.get("reduction") == "sum"
        return _with_value(value, losses.sum() / classes if summed else losses.mean())

    def _of_error(
        self,
        func: Callable[..., Any],
        name: str,
        error: Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        result = func(*args, **kwargs)
        losses, classes = self._errors[error]
        if name in _POWERS and isinstance(result, Tensor):
            self._errors[result] = losses, classes
        elif name in ("mean", "sum") and isinstance(result, Tensor):
            reduced = func(losses, *args[1:], **{k: v for k, v in kwargs.items() if k != "input"})
            over_classes = losses.numel() // max(1, reduced.numel()) % classes == 0
            if over_classes and name == "sum":
                reduced = reduced / classes
            result = _with_value(result, reduced)
            self._errors[result] = reduced, 1 if over_classes else classes
        return result

    def _cross_entropy(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Tensor, int] | None:
        """One loss for each element of the targets, and the number of classes of a softmax.

        An element stands for the loss of its row, so that the mean over all is the usual one.
        """
        pair = operands(name, args, kwargs)
        if pair is None:
            return None
        said, wanted = pair[0], pair[1].to(pair[0].dtype)
        before, kind = self._given[said] if said in self._given else (None, "")
        if before is None or before.shape != said.shape or not bool(is_classes(kind, wanted)):
            return None
        self._tell(f"{name} of a {kind} now has the gradient of a cross-entropy")
        if kind == "sigmoid":
            losses = functional.binary_cross_entropy_with_logits(before, wanted, reduction="none")
            return losses, 1
        # The softmax was taken over the dimension along which its output sums to one.
        dim = next(
            d
            for d in reversed(range(said.dim()))
            if d == 0 or bool(((said.detach().sum(d) - 1).abs() < 1e-3).all())
        )
        classes = said.shape[dim]
        return -wanted * functional.log_softmax(before, dim) * classes, classes


def _with_value(value: Tensor, losses: Tensor) -> Tensor:
    """The loss with the value that the program computed."""
    return value.detach() + (losses - losses.detach())
