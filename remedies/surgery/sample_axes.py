"""Moves the axis of the samples to the front where a reshape would mix them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from probes.tap.dense import is_dense
from probes.tap.sample_axes import SOFTMAXES, misplaced, softmax_axis
from probes.tap.scrambles import RESHAPES
from remedies.surgery.attention import along_last_axis


class MovedSamples:
    """Answers the reshapes of some lines with rows of one sample each, and softmaxes likewise.

    Args:
        lines: The lines.
        here: Tells the line that is at work.
        tell: Called with a line and what was done when one of its calls was answered.
    """

    def __init__(
        self,
        lines: Collection[str],
        here: Callable[[], str | None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._lines = lines
        self._here = here
        self._tell = tell

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        given = args[0] if args else None
        name = getattr(func, "__name__", "")
        if name not in {*RESHAPES, *SOFTMAXES} or not is_dense(given):
            return NotImplemented
        line = self._here()
        if line is None or line not in self._lines:
            return NotImplemented
        if name in SOFTMAXES:
            if softmax_axis(args, kwargs) != 0:
                return NotImplemented
            self._tell(line, "along the last axis")
            return along_last_axis(func, args, kwargs)
        made = func(*args, **kwargs)
        axis = misplaced(tuple(given.shape), tuple(made.shape))
        if axis is None:
            return NotImplemented
        self._tell(line, f"axis {axis} of {tuple(given.shape)} moved to the front")
        return given.movedim(axis, 0).reshape(made.shape)
