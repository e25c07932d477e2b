"""How well scores would tell the classes apart if no class counted more for being common."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_MOST_CLASSES = 1000
_FEWEST_SEEN = 2.0
"""Samples of a class that must have been seen before its share is known."""
_KEPT = 0.85
"""What an earlier look counts at the next one: about seven of them do, so that there are some
samples of a rare class."""
_FEWEST_COUNTED = 1.0


@dataclass
class _Tally:
    """Of each class: samples over all looks; samples and right decisions over the latest ones."""

    seen: Tensor
    recent: Tensor
    plain: Tensor
    fair: Tensor


class Priors:
    """Counts the classes of the labels at each loss, and which of them are predicted right."""

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}

    def recalls(self, where: str, scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The share of each class that is predicted right lately, averaged over the classes.

        Where the logarithm of a class's share in the labels is taken off its score, the decision
        is the best one for classes of equal size (Menon et al. 2021, Long-tail learning via logit
        adjustment): what that gains over the plain decision is not lost for want of knowledge. The
        shares are those of all looks so far, not of these labels alone.

        Args:
            where: The loss.
            scores: Logits or logarithms of probabilities, shape (positions, classes).
            labels: Class of each position, shape (positions,).

        Returns:
            ``prediction.hits``, the plain accuracy; ``prediction.recall``, the mean over the
            classes; ``prediction.fair_recall``, the same of the adjusted decision. Nothing where
            there are too many classes, or too few labels so far.
        """
        width = scores.shape[1]
        if width > _MOST_CLASSES or not labels.numel():
            return {}
        tally = self._tally(where, width, scores)
        here = _count(labels, torch.ones_like(labels), width)
        tally.seen += here
        known = tally.seen >= _FEWEST_SEEN
        shares = tally.seen / tally.seen.sum()
        adjusted = (scores - shares.log()).masked_fill_(~known, -torch.inf)
        plain, fair = (rows.argmax(1) == labels for rows in (scores, adjusted))
        tally.recent = _KEPT * tally.recent + here
        tally.plain = _KEPT * tally.plain + _count(labels, plain, width)
        tally.fair = _KEPT * tally.fair + _count(labels, fair, width)
        counted = known & (tally.recent >= _FEWEST_COUNTED)
        if int(counted.sum()) < 2:
            return {}
        return {
            "prediction.hits": plain.float().mean(),
            "prediction.recall": (tally.plain / tally.recent)[counted].mean(),
            "prediction.fair_recall": (tally.fair / tally.recent)[counted].mean(),
        }

    def _tally(self, where: str, width: int, scores: Tensor) -> _Tally:
        tally = self._tallies.get(where)
        if tally is None or len(tally.seen) != width or tally.seen.device != scores.device:
            tally = _Tally(*(torch.zeros(width, device=scores.device) for _ in range(4)))
            self._tallies[where] = tally
        return tally


def _count(labels: Tensor, weights: Tensor, width: int) -> Tensor:
    counts = torch.zeros(width, device=labels.device)
    return counts.scatter_add_(0, labels, weights.to(counts.dtype))
