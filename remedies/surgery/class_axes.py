"""Moves the axis of the classes where a reshape would mix it with others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from probes.tap.class_axes import axis_after, scramble
from probes.tap.dense import is_dense_float
from probes.tap.scrambles import RESHAPES


class MovedClassAxis:
    """Answers the reshapes of some lines with the scores of each position in one piece.

    In evaluation, where no gradient tells which axis has the classes, it is the one that had them
    in training; then reshapes of other lines are answered as well, but for those of a model, so
    that what the script reports is of scores and labels that belong together.

    Args:
        lines: The lines.
        here: Tells the line that is at work.
        inside: Tells whether a model is at work.
        tell: Called with a line and what was done when one of its reshapes was answered.
    """

    def __init__(
        self,
        lines: Collection[str],
        here: Callable[[], str | None],
        inside: Callable[[], bool],
        tell: Callable[[str, str], None],
    ) -> None:
        self._lines = lines
        self._here = here
        self._inside = inside
        self._tell = tell
        self._known: set[tuple[int, int, int, int]] = set()

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        given = args[0] if args else kwargs.get("input")
        if getattr(func, "__name__", "") not in RESHAPES or not is_dense_float(given):
            return NotImplemented
        line = self._here()
        named = line if line in self._lines else None
        if named is None and not self._is_evaluated():
            return NotImplemented
        result = func(*args, **kwargs)
        axis = self._axis(given, result, named is not None)
        if axis is None:
            return NotImplemented
        if named is not None:
            self._tell(named, f"axis {axis} of {tuple(given.shape)} moved, not reshaped")
        return _moved(given, axis, result)

    def _is_evaluated(self) -> bool:
        return bool(self._known) and not torch.is_grad_enabled() and not self._inside()

    def _axis(self, given: Tensor, made: Tensor, is_named: bool) -> int | None:
        """The axis of the classes where a reshape mixes it with others, or leaves it behind."""
        if made.requires_grad:
            found = scramble(made)
            if found is None or found.node is not made.grad_fn:
                return None
            self._known.add((given.dim(), found.axis, made.dim(), made.shape[1]))
            return found.axis
        for dims, axis, others, classes in self._known:
            if (given.dim(), made.dim()) != (dims, others):
                continue
            if given.shape[axis] == made.shape[1] == classes:
                after = axis_after(tuple(given.shape), axis, tuple(made.shape))
                return axis if after is None or (is_named and after != 1) else None
        return None


def _moved(given: Tensor, axis: int, made: Tensor) -> Tensor:
    """What the reshape should have made."""
    rows = given.movedim(axis, -1).reshape(made.shape[0], *made.shape[2:], given.shape[axis])
    return rows.movedim(-1, 1)
