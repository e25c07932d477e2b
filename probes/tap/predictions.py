"""Watches what a classifier predicts, against the labels that its loss is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probes._loss_functions import BINARY
from probes.tap.calls import CallLog
from probes.tap.dense import is_dense
from probes.tap.locate import Sources
from probes.tap.priors import Priors
from probes.tap.sharpness import sharpness
from probes.tap.statistics import Collector, stride
from probes.tap.unrecorded import unrecorded
from probes.tap.within_places import within_places

_MOST_ROWS = 16_384
"""Positions of one call that are looked at: evenly spread over all of them."""
_FEW_CLASSES = 16
"""Classes of which the share of each is told."""
_MOST_CALLS = 2
"""Calls at one line that are looked at in one step."""
_SIGNATURES = {
    "cross_entropy": ("input", "target"),
    "nll_loss": ("input", "target"),
    "binary_cross_entropy": ("input", "target"),
    "binary_cross_entropy_with_logits": ("input", "target"),
    "gather": ("input", "dim", "index"),
}
"""Functions that are looked at: their first argument has the scores, the last one the labels."""


class PredictionWatch:
    """Reads logits and labels off the calls of classification losses.

    Losses that are written by hand are known by picking the score of the label with ``gather``;
    those that do it in another way have no labels here.

    Args:
        sources: Tells the user's line that computes the loss: that is where.
        calls: Tells of the calls.
        collector: Takes what `class_statistics` and, in training, `Priors` say; where the
            labels are numbers of classes, what `sharpness` says, too, and ``label.weight.0`` and so
            on, where there are few classes and the loss is given weights for them.
    """

    def __init__(self, sources: Sources, calls: CallLog, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False
        self._seen: dict[str, int] = {}
        self._priors = Priors()
        calls.listen(self._note, _SIGNATURES)

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
        if not self._on or name not in _SIGNATURES:
            return
        given = dict(zip(_SIGNATURES[name], args, strict=False)) | kwargs
        scores, labels = (given.get(key) for key in (_SIGNATURES[name][0], _SIGNATURES[name][-1]))
        if not is_dense(scores) or not is_dense(labels):
            return
        if name == "gather" and not _picks_labels(scores, labels, given["dim"]):
            return
        where = self._sources.line() or "predictions"
        self._seen[where] = self._seen.get(where, 0) + 1
        if self._seen[where] > _MOST_CALLS:
            return
        with unrecorded():
            rows, classes, places = _counting(name, scores.detach(), labels.detach(), given)
            found = class_statistics(rows, classes) | within_places(rows, classes, places)
            if name == "gather":
                for name in ("prediction.loss", "prediction.skill", "prediction.within"):
                    found.pop(name, None)  # What scores they are is not known.
            elif scores.requires_grad:
                found |= self._priors.recalls(where, rows, classes)
                if not labels.is_floating_point():
                    found |= sharpness(rows, classes) | _weights(name, args, kwargs)
        self._collector.add("train" if scores.requires_grad else "eval", where, found)


def _weights(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor]:
    """The weights of the classes."""
    given = kwargs.get("weight", args[2] if len(args) > 2 else None)
    if name in BINARY or not is_dense(given) or given.numel() > _FEW_CLASSES:
        return {}
    return {f"label.weight.{number}": weight for number, weight in enumerate(given.detach())}


def _picks_labels(scores: Tensor, index: Tensor, dim: int) -> bool:
    """Whether one of the scores of each position is picked, as losses written by hand do."""
    differentiable = scores.requires_grad and scores.dim() > 1 and index.dim() == scores.dim()
    return differentiable and index.shape[dim] == 1 < scores.shape[dim]


def _counting(
    name: str, scores: Tensor, labels: Tensor, given: dict[str, Any]
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, shaped (positions, classes), and labels of the positions that count.

    And which place each position is within its sample, such as a pixel: 0 where a sample has one.
    Of many positions, some that are evenly spread over all of them.
    """
    samples = labels.shape[0] if labels.dim() else 1
    if name in BINARY:
        scores = (
            scores.flatten() if name.endswith("logits") else torch.logit(scores, 1e-7).flatten()
        )
        scores, labels = torch.stack((torch.zeros_like(scores), scores), 1), labels.round()
    elif name == "gather":
        scores = scores.movedim(given["dim"], -1).flatten(0, -2)
        labels = labels.movedim(given["dim"], -1)
    else:
        if labels.is_floating_point():  # A probability for each class.
            labels = labels.argmax(1 if labels.dim() > 1 else 0)
        scores = scores[None] if scores.dim() == 1 else scores.movedim(1, -1).flatten(0, -2)
    if labels.numel() != len(scores):
        nothing = labels.flatten()[:0].long()
        return scores[:0], nothing, nothing
    step = stride(labels.numel(), _MOST_ROWS)
    whole = max(1, labels.numel() // max(1, samples))
    scores, labels = scores[::step].float(), labels.flatten()[::step].long()
    ignored = given.get("ignore_index", -100)
    kept = (labels != ignored) & (labels >= 0) & (labels < scores.shape[1])
    places = torch.arange(len(labels), device=labels.device) * step % whole
    return scores[kept], labels[kept], places[kept]


def class_statistics(scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """How predictions spread over the classes, and how the labels do.

    Args:
        scores: Logits or logarithms of probabilities, shape (positions, classes).
        labels: Class of each position, shape (positions,).

    Returns:
        ``prediction.entropy`` and ``label.entropy``: of the distribution over the classes, in
        nats. ``prediction.top_share`` and ``label.top_share``: share of the commonest class.
        ``label.share.0`` and so on: share of each class, where there are few.
        ``prediction.minority_hits``: share of the positions with another label than the commonest
        one that are predicted right (nothing where there are none). ``prediction.loss``: mean
        cross-entropy in nats. Where the scores know nothing but how common each class is, it is
        the entropy of the labels. ``prediction.skill``: by how many nats a label is likelier at its
        own position than at another one of the batch, in the mean; 0 where predictions have nothing
        to do with the labels, however they are weighted and however many there are. Nothing at all
        where there are no positions.
    """
    if not labels.numel():
        return {}
    predicted = scores.argmax(1)
    expected, top_label = _spread(labels, scores.shape[1])
    found, _ = _spread(predicted, scores.shape[1])
    likelihoods = scores.log_softmax(1)
    own = likelihoods.gather(1, labels[:, None]).mean()
    statistics = {
        "prediction.entropy": _entropy(found),
        "label.entropy": _entropy(expected),
        "prediction.top_share": found.max(),
        "label.top_share": expected.max(),
        "prediction.loss": -own,
    }
    if len(labels) > 1:  # A position is no other one of the batch.
        any_label = (likelihoods.mean(0) * expected).sum()
        statistics["prediction.skill"] = (own - any_label) * len(labels) / (len(labels) - 1)
    if len(expected) <= _FEW_CLASSES:
        statistics |= {f"label.share.{number}": share for number, share in enumerate(expected)}
    minority = labels != top_label
    if bool(minority.any()):
        statistics["prediction.minority_hits"] = (predicted == labels)[minority].float().mean()
    return statistics


def _spread(classes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    counts = torch.zeros(count, device=classes.device)
    counts.scatter_add_(0, classes, torch.ones_like(classes, dtype=counts.dtype))
    return counts / classes.numel(), counts.argmax()


def _entropy(shares: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(shares).sum()
    return entropy
