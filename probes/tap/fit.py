"""Watches how much of its targets a regression explains, while it is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probes.tap.calls import CallLog
from probes.tap.dense import is_plain
from probes.tap.locate import Sources
from probes.tap.statistics import Collector

_LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_MOST_VALUES = 65_536


class FitWatch:
    """Reads predictions and targets off the calls of regression losses.

    Args:
        sources: Tells the user's line that computes the loss: that is where.
        calls: Tells of the calls.
        collector: Takes ``fit.explained``: one minus the variance of what is left over that of the
            targets. 0 where a constant predicts as well.
    """

    def __init__(self, sources: Sources, calls: CallLog, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False
        calls.listeners.append(self._note)

    def switch_on(self) -> None:
        """Watch the losses of the next step."""
        self._on = True

    def switch_off(self) -> None:
        """Watch no more."""
        self._on = False

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or getattr(func, "__name__", "") not in _LOSSES:
            return
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        predicted, target = given.get("input"), given.get("target")
        if not (isinstance(predicted, Tensor) and isinstance(target, Tensor)):
            return
        if not (predicted.requires_grad and is_plain(predicted) and is_plain(target)):
            return
        if predicted.shape != target.shape or target.requires_grad or predicted.shape[0] < 4:
            return
        where = self._sources.line()
        if where is None:
            return
        with torch.no_grad():
            found = {"fit.explained": explained(predicted.detach(), target.detach())}
        self._collector.add("train", where, found)


def explained(predicted: Tensor, target: Tensor) -> Tensor:
    """Share of the variance over the samples that is explained, averaged over all positions.

    Args:
        predicted: Shape (samples, ...).
        target: The same shape.
    """
    width = max(1, predicted[0].numel())
    rows = max(4, _MOST_VALUES // width)
    one, other = (
        t[:rows].float().flatten(1) if t.dim() > 1 else t[:rows].float()[:, None]
        for t in (predicted, target)
    )
    spread = other.var(0).mean()
    share: Tensor = 1 - (other - one).var(0).mean() / spread.clamp_min(1e-30)
    return share
