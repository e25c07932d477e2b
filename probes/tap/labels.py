"""Watches whether the labels are such as a classification loss takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from probes import _signatures
from probes._loss_functions import BINARY, CATEGORICAL, SIGNED, TRANSCRIPTION
from probes.tap.calls import CallLog
from probes.tap.dense import is_dense
from probes.tap.locate import Sources
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded

_MOST_CALLS = 2
_WATCHED = {*CATEGORICAL, *BINARY, *SIGNED, TRANSCRIPTION}


class LabelWatch:
    """Reads the labels off the calls of classification losses, of those that raise as well.

    Args:
        sources: Tells the user's line that computes the loss: that is where.
        calls: Tells of the calls.
        collector: Takes what `label_statistics` or `transcription_statistics` says, in training.
    """

    def __init__(self, sources: Sources, calls: CallLog, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False
        self._seen: dict[str, int] = {}
        calls.listen(self._note, _WATCHED)
        calls.on_error.append(self._note)

    def switch_on(self) -> None:
        """Watch the losses of the next step."""
        self._on = True
        self._seen = {}

    def switch_off(self) -> None:
        """Watch no more."""
        self._on = False

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        name = getattr(func, "__name__", "")
        if not self._on or name not in _WATCHED:
            return
        names = _arguments(name)
        given = dict(zip(names, args, strict=False)) | kwargs
        scores, labels = given.get(names[0]), given.get("target", given.get("targets"))
        if not is_dense(scores) or not is_dense(labels) or not scores.requires_grad:
            return
        where = self._sources.line()
        if where is None or self._seen.get(where, 0) >= _MOST_CALLS:
            return
        self._seen[where] = self._seen.get(where, 0) + 1
        with unrecorded():
            if name == TRANSCRIPTION:
                found = transcription_statistics(
                    scores.detach(), labels, given["target_lengths"], given.get("blank", 0)
                )
            else:
                ignored = given.get("ignore_index", -100)
                found = label_statistics(name, scores.detach(), labels.detach(), ignored)
        self._collector.add("train", where, found)


def _arguments(name: str) -> tuple[str, ...]:
    if name == TRANSCRIPTION:
        return _signatures.TRANSCRIPTION
    return ("input", "target") if SIGNED.get(name, 1) == 1 else ("input1", "input2", "target")


def transcription_statistics(
    scores: Tensor, labels: Tensor, lengths: Tensor | Sequence[int], blank: int
) -> dict[str, Tensor | float]:
    """What labels a connectionist temporal classification is given.

    Args:
        scores: Shape (time, samples, classes) or (time, classes).
        labels: Shape (samples, longest), padded, or all sequences one after another.
        lengths: How many labels each sequence has.
        blank: The class that stands for no label.

    Returns:
        ``label.blank``, the share of labels that are the blank; ``label.classes``, how many the
        scores are for; ``label.lowest``, ``label.highest``.
    """
    counts = torch.as_tensor(lengths, device=labels.device)
    if labels.dim() == 2:
        labels = labels[torch.arange(labels.shape[1], device=labels.device) < counts[:, None]]
    else:
        labels = labels[: int(counts.sum())]
    found: dict[str, Tensor | float] = {"label.classes": float(scores.shape[-1])}
    if labels.numel():
        found["label.blank"] = (labels == blank).float().mean()
    return found | _range(labels)


def label_statistics(
    name: str, scores: Tensor, labels: Tensor, ignored: int = -100
) -> dict[str, Tensor | float]:
    """What labels a loss is given.

    Args:
        name: The torch function.
        scores: Shape (samples, classes, ...) or, of a binary loss, that of the labels.
        labels: Classes or, where they are floating-point numbers, probabilities.
        ignored: The label that does not count.

    Returns:
        Of probabilities ``label.outside``, the share that is below 0 or above 1; where a loss takes
        -1 and 1, the share that is neither, and ``label.signed``, 1. Of classes
        ``label.classes``, how many the scores are for, and ``label.ignored``, the share of labels
        that do not count. Of either ``label.lowest`` and ``label.highest``, and ``label.count``, of
        those that count.
    """
    found: dict[str, Tensor | float] = {}
    if name in SIGNED:
        found["label.signed"] = 1.0
        found["label.outside"] = (labels.abs() != 1).float().mean()
    elif name in BINARY or labels.is_floating_point():
        outside = (labels < 0) | (labels > 1)
        found["label.outside"] = outside.float().mean()
    else:
        found["label.classes"] = float(scores.shape[1 if scores.dim() > 1 else 0])
        counts = labels != ignored
        found["label.ignored"] = 1 - counts.float().mean()
        labels = labels[counts]
    found["label.count"] = float(labels.numel())
    return found | _range(labels)


def _range(labels: Tensor) -> dict[str, Tensor | float]:
    if not labels.numel():
        return {}
    return {"label.lowest": labels.min(), "label.highest": labels.max()}
