"""Watches how much of what a loss asks for is explained by what the model says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from probes._loss_functions import DIFFERENCES, REGRESSIONS
from probes.tap.calls import CallLog
from probes.tap.dense import is_dense_float
from probes.tap.locate import Sources
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded
from probes.trace import Phase

_MOST_CALLS = 2
_FEWEST = 4
_MOST_VALUES = 65_536
"""Numbers of one batch that are looked at: whole samples, the first of them."""


class TargetWatch:
    """Compares predictions and targets of regressions, where their difference is taken.

    A difference that is written by hand counts where its operands have the same shape and one of
    them was computed with gradient, the other without.

    Args:
        sources: Tells the user's lines: they are where.
        calls: Tells of the calls.
        collector: Takes what `fit` says.
    """

    def __init__(self, sources: Sources, calls: CallLog, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False
        self._seen: dict[str, int] = {}
        calls.listen(self._note, {*REGRESSIONS, *DIFFERENCES})

    def switch_on(self) -> None:
        """Watch the next step."""
        self._on = True
        self._seen = {}

    def switch_off(self) -> None:
        """Watch no more."""
        self._on = False

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        name = getattr(func, "__name__", "")
        if not self._on or (name not in REGRESSIONS and name not in DIFFERENCES):
            return
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        predicted, target = given.get("input"), given.get("target", given.get("other"))
        if not is_dense_float(predicted) or not is_dense_float(target):
            return
        if predicted.shape != target.shape or predicted.dim() == 0:
            return
        if name in DIFFERENCES:
            if predicted.requires_grad == target.requires_grad:
                return
            if not predicted.requires_grad:
                predicted, target = target, predicted
            if predicted.grad_fn is None:
                return
        where = self._sources.line()
        if where is None or target.shape[0] < _FEWEST:
            return
        self._seen[where] = self._seen.get(where, 0) + 1
        if self._seen[where] <= _MOST_CALLS:
            phase: Phase = "train" if predicted.requires_grad else "eval"
            with unrecorded():
                self._collector.add(phase, where, fit(predicted, target))


def fit(predicted: Tensor, target: Tensor) -> dict[str, Tensor]:
    """How well targets are predicted, in units that do not depend on their scale.

    Args:
        predicted: Shape (batch, ...).
        target: The same shape.

    Returns:
        ``target.unexplained``: mean squared error over the variance of the targets over the batch,
        summed over all outputs: 1 where nothing but their mean is known. ``target.scale``: root
        mean square of the targets. ``target.std``: their standard deviation over the batch.
        ``target.mean``: their mean, where there is one output. ``prediction.scale``: root mean
        square of the predictions. ``target.correlation``: of predictions and targets over the
        batch, each less its mean, over all outputs. Nothing where the targets do not vary.
    """
    rows = max(_FEWEST, _MOST_VALUES * len(target) // target.numel())
    wanted = target[:rows].detach().double().reshape(min(rows, len(target)), -1)
    said = predicted[:rows].detach().double().reshape(wanted.shape)
    variance = wanted.var(0, correction=0).mean()
    centred = said - said.mean(0), wanted - wanted.mean(0)
    found = {
        "target.unexplained": (said - wanted).square().mean() / variance,
        "target.scale": wanted.square().mean().sqrt(),
        "target.std": variance.sqrt(),
        "prediction.scale": said.square().mean().sqrt(),
    }
    spread = (centred[0].square().sum() * centred[1].square().sum()).sqrt()
    found["target.correlation"] = (centred[0] * centred[1]).sum() / spread.clamp(min=1e-300)
    if wanted.shape[1] == 1:
        found["target.mean"] = wanted.mean()
    return found
