"""Watches for scores whose classes and positions a reshape mixed before the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

from probes._loss_functions import CATEGORICAL
from probes.tap.calls import CallLog
from probes.tap.class_axes import Scramble, scramble
from probes.tap.dense import is_dense, is_dense_float
from probes.tap.locate import Sources
from probes.tap.statistics import Collector

RESHAPES = ("view", "reshape", "view_as", "reshape_as", "flatten", "unflatten")


class ScrambleWatch:
    """Looks at the way of the scores to the losses of classes, on the autograd graph.

    Args:
        sources: Tells the user's lines.
        calls: Tells of the calls.
        collector: Takes ``loss.scrambled`` at ``LINE|RESHAPE``, the lines of the loss and of the
            reshape that mixed them, 1; or 0 at ``LINE|`` where none did. At the line of the reshape
            it takes ``scramble.classes``, how many there are; ``scramble.axis``, the axis they had,
            -1 for the last; ``scramble.dims``, the dimensions of what it makes; ``scramble.same``,
            whether moving the axis makes that shape; and ``scramble.last``, whether the loss takes
            it as it is.
    """

    def __init__(self, sources: Sources, calls: CallLog, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False
        self._lines: dict[Node, str] = {}
        calls.listen(self._note, {*CATEGORICAL, *RESHAPES})

    def switch_on(self) -> None:
        """Watch the next step."""
        self._on = True

    def switch_off(self) -> None:
        """Watch no more, and let go of the graphs."""
        self._on = False
        self._lines = {}

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or not isinstance(result, Tensor) or result.grad_fn is None:
            return
        if getattr(func, "__name__", "") in RESHAPES:
            self._lines.setdefault(result.grad_fn, self._sources.line() or "")
            return
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        scores, labels = given.get("input"), given.get("target")
        if is_dense_float(scores) and is_dense(labels) and not labels.is_floating_point():
            self._look(scores)

    def _look(self, scores: Tensor) -> None:
        line = self._sources.line() or ""
        found = scramble(scores)
        reshape = "" if found is None else self._lines.get(found.node, line)
        self._collector.add(
            "train", f"{line}|{reshape}", {"loss.scrambled": float(found is not None)}
        )
        if found is not None:
            self._collector.add("train", reshape, _told(found, scores))


def _told(found: Scramble, scores: Tensor) -> dict[str, Tensor | float]:
    moved = list(found.given)
    moved.insert(1, moved.pop(found.axis))
    is_end = found.axis == len(found.given) - 1
    return {
        "scramble.classes": float(scores.shape[1]),
        "scramble.axis": float(-1 if is_end else found.axis),
        "scramble.dims": float(len(found.made)),
        "scramble.same": float(tuple(moved) == found.made),
        "scramble.last": float(found.made == scores.shape),
    }
