"""Watches which samples a model is trained on, and with which labels, by fingerprints of rows."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.data import DataLoader
from torch.utils.hooks import RemovableHandle

from probes._loss_functions import BINARY, CATEGORICAL, DIFFERENCES, REGRESSIONS
from probes.tap.calls import CallLog
from probes.tap.fingerprints import Pairs, fingerprints, first_rows
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded
from probes.tap.wrap import wrap

_LOSSES = {*CATEGORICAL, *BINARY, *REGRESSIONS}
LABELLED = {*_LOSSES, *DIFFERENCES}
"""Functions that are given labels (see `labels_of`)."""
_TAKEN = {"__getitem__", "index_select", "narrow", "take", "stack", "cat"}
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
            batch follows behind ``|``.
    """

    def __init__(
        self, sources: Sources, tree: ModuleTree, calls: CallLog, collector: Collector
    ) -> None:
        self._sources = sources
        self._tree = tree
        self._collector = collector
        self._handle: RemovableHandle | None = None
        self._loaders: list[weakref.ref[DataLoader[Any]]] = []
        self._taken: dict[int, tuple[weakref.ref[Tensor], float, str]] = {}
        self._permuted: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        self._made_at: dict[str, str] = {}
        self._batch: Tensor | None = None
        self._before: tuple[weakref.ref[Tensor], list[float]] | None = None
        self._pairs = Pairs()
        self._done = False
        calls.listen(self._note, _TAKEN | LABELLED)

    def install(self) -> Callable[[], None]:
        """Note the loaders that are iterated; returns what undoes it."""
        return wrap(DataLoader, "__iter__", before=self._iterated)

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
        self._taken = {}

    def _iterated(self, loader: DataLoader[Any]) -> None:
        self._loaders = [*(ref for ref in self._loaders if ref() is not loader)][-7:]
        self._loaders.append(weakref.ref(loader))

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
        if name in _TAKEN and not result.requires_grad and result.numel():
            self._note_taken(args, result)
        elif self._batch is not None and result.requires_grad:
            labels = labels_of(name, args, kwargs)
            if labels is not None and len(labels) == len(self._batch):
                self._done = True
                with unrecorded():
                    self._look(self._batch, labels)
                self._batch = None

    def _note_taken(self, args: tuple[Any, ...], result: Tensor) -> None:
        source = args[0] if args else None
        elements = float(source.numel()) if isinstance(source, Tensor) else 0.0
        if isinstance(source, list | tuple) and source and isinstance(source[0], Tensor):
            elements = self._taken.get(id(source[0]), (None, 0.0, ""))[1]
        line = self._sources.line() or ""
        if _permutes(args, result):
            self._permuted = {**dict(list(self._permuted.items())[-7:])}
            self._permuted[id(result)] = weakref.ref(result), line
        elif isinstance(source, Tensor) and id(source) in self._permuted:
            reference, made = self._permuted[id(source)]
            if reference() is source:
                self._made_at[line] = made
        self._taken[id(result)] = weakref.ref(result), elements, self._made_at.get(line, line)

    def _look(self, batch: Tensor, labels: Tensor) -> None:
        rows = fingerprints(batch)
        available, made = self._origin(batch)
        line = self._sources.line() or ""
        where = f"{line}|{made}|{self._origin(labels)[1]}"
        found = {"batch.available": available}
        if self._before is not None:
            previous, known = self._before
            found["batch.repeated"] = float(sorted(known) == sorted(rows))
            found["batch.same_object"] = float(previous() is batch)
        self._before = weakref.ref(batch), rows
        self._collector.add("train", where, found | self._pairs.take(rows, fingerprints(labels)))

    def _origin(self, batch: Tensor) -> tuple[float, str]:
        """How much larger what a batch was taken from is, and the line that took it."""
        reference, elements, line = self._taken.get(id(batch), (None, 0.0, ""))
        if reference is None or reference() is not batch:
            elements, line = 0.0, ""
        samples = next((n for ref in reversed(self._loaders) if (n := _samples(ref(), batch))), 0)
        if samples:
            return samples / len(batch), line
        return max(1.0, elements / batch.numel()), line


def _samples(loader: DataLoader[Any] | None, batch: Tensor) -> int:
    """Number of samples of a loader whose batches are of that size; 0 where there is none."""
    if loader is None or loader.batch_size != len(batch):
        return 0
    with contextlib.suppress(Exception):  # The data set is the user's code.
        return len(loader.dataset)  # type: ignore[arg-type]
    return 0


def _permutes(args: tuple[Any, ...], result: Tensor) -> bool:
    """Whether a call puts the rows of a tensor in another order."""
    index = args[1] if len(args) > 1 else None
    return (
        isinstance(index, Tensor)
        and isinstance(args[0], Tensor)
        and index.dim() == 1
        and len(index) == len(result) == len(args[0])
    )


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
