"""Watches which samples a model is trained on, and with which labels, by fingerprints of rows."""

from __future__ import annotations

import statistics
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from probes._loss_functions import BINARY, CATEGORICAL, DIFFERENCES, REGRESSIONS
from probes.tap.calls import CallLog
from probes.tap.fingerprints import Pairs, fingerprints, first_rows
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.origins import TAKING, OriginLog
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded

_LOSSES = {*CATEGORICAL, *BINARY, *REGRESSIONS}
LABELLED = {*_LOSSES, *DIFFERENCES}
"""Functions that are given labels (see `labels_of`)."""
_FEWEST_ROWS = 4


class BatchWatch:
    """Compares the samples of the probed steps with one another.

    Args:
        sources: Tells the user's lines.
        tree: Tells the root modules.
        calls: Tells of the calls.
        collector: Takes, at the line of the loss: ``batch.repeated``, 1 where the inputs are those
            of the probed step before, else 0; ``batch.same_object``, 1 where they are also the same
            tensor; ``batch.available``, elements of what the batch was taken from over its own (of
            the data set of a loader, its samples); and what `Pairs` says. The line that took the
            batch follows behind ``|``. And where the batches come in the order of the data, with
            the line that gives them that order behind ``|``: ``order.level``, the mean of the
            labels' fingerprints; ``order.spread``, their variance; ``order.rows``, how many they
            are; ``order.kinds``, how many different ones.
    """

    def __init__(
        self, sources: Sources, tree: ModuleTree, calls: CallLog, collector: Collector
    ) -> None:
        self._sources = sources
        self._tree = tree
        self._collector = collector
        self._handle: RemovableHandle | None = None
        self._origins = OriginLog(sources)
        self._batch: Tensor | None = None
        self._before: tuple[weakref.ref[Tensor], list[float]] | None = None
        self._pairs = Pairs()
        self._done = False
        calls.listen(self._note, TAKING | LABELLED)

    def install(self) -> Callable[[], None]:
        """Note the loaders; returns what undoes it."""
        return self._origins.install()

    def switch_on(self) -> None:
        """Watch the next step."""
        self._done = False
        if self._handle is None:
            self._handle = register_module_forward_pre_hook(self._enter)

    def switch_off(self) -> None:
        """Watch no more."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        self._batch = None
        self._origins.forget()

    def _enter(self, module: nn.Module, args: Any) -> None:
        if self._done or not module.training or not torch.is_grad_enabled() or not args:
            return
        if any(module is root for root in self._tree.roots.values()):
            batch = first_rows(args[0])
            if batch is not None and not batch.requires_grad and len(batch) >= _FEWEST_ROWS:
                self._batch = batch

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if self._handle is None or self._done or not isinstance(result, Tensor):
            return
        name = getattr(func, "__name__", "")
        if name in TAKING and not result.requires_grad and result.numel():
            self._origins.note(args, result)
        elif self._batch is not None and result.requires_grad:
            labels = labels_of(name, args, kwargs)
            if labels is not None and len(labels) == len(self._batch):
                self._done = True
                with unrecorded():
                    self._look(self._batch, labels)
                self._batch = None

    def _look(self, batch: Tensor, labels: Tensor) -> None:
        rows, numbers = fingerprints(batch), fingerprints(labels)
        origin, line = self._origins.of(batch), self._sources.line() or ""
        where = f"{line}|{origin.line}|{self._origins.of(labels).line}"
        found = {"batch.available": origin.available}
        if self._before is not None:
            previous, known = self._before
            found["batch.repeated"] = float(sorted(known) == sorted(rows))
            found["batch.same_object"] = float(previous() is batch)
        self._before = weakref.ref(batch), rows
        self._collector.add("train", where, found | self._pairs.take(rows, numbers))
        if origin.ordered:
            self._collector.add("train", f"{line}|{origin.ordered}", _order(numbers))


def _order(numbers: list[float]) -> dict[str, float]:
    mean = statistics.fmean(numbers)
    return {
        "order.level": mean,
        "order.spread": sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1),
        "order.rows": float(len(numbers)),
        "order.kinds": float(len(set(numbers))),
    }


def labels_of(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The labels of a loss; the operand without gradient of a difference of two equal shapes."""
    if name in _LOSSES:
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        scores, labels = given.get("input"), given.get("target")
        if not isinstance(scores, Tensor) or not scores.requires_grad:
            return None
        # Contrastive losses number the samples of the batch.
        if name == "cross_entropy" and scores.dim() == 2 and scores.shape[0] == scores.shape[1]:
            return None
    elif name in DIFFERENCES and len(args) > 1:
        pair = [value for value in args[:2] if isinstance(value, Tensor)]
        if len(pair) < 2 or pair[0].numel() != pair[1].numel():
            return None
        if pair[0].requires_grad == pair[1].requires_grad:
            return None
        labels = pair[1] if pair[0].requires_grad else pair[0]
    else:
        return None
    labels = first_rows(labels)
    return labels if labels is not None and not labels.requires_grad else None
