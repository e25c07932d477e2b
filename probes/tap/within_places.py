"""What predictions say of a sample, where each sample has labels at several places."""

from __future__ import annotations

import torch
from torch import Tensor

_MOST_CELLS = 2**20
"""Places times classes from which on what is usual at a place is not looked at."""


def within_places(scores: Tensor, labels: Tensor, places: Tensor) -> dict[str, Tensor]:
    """What predictions say of a sample's label at a place, beyond what is usual at that place.

    Args:
        scores: As for `class_statistics`.
        labels: As there.
        places: Which of the places of a sample each position is, shape (positions,).

    Returns:
        ``prediction.within``: by how many nats a label is likelier in its own sample than in
        another one at the same place, over the entropy that the labels of a place have: 0 where
        all samples get the same. Nothing where samples have one place, or places one sample.
    """
    if not labels.numel() or not bool(places.any()):
        return {}
    count, classes = int(places.max()) + 1, scores.shape[1]
    if count * classes > _MOST_CELLS:
        return {}
    samples = torch.bincount(places, minlength=count)
    several = (samples > 1)[places]
    likelihoods = scores.log_softmax(1)
    usual = torch.zeros(count, classes, device=scores.device).index_add_(0, places, likelihoods)
    shares = torch.zeros_like(usual).index_put_(
        (places, labels), torch.ones_like(likelihoods[:, 0]), accumulate=True
    )
    shares /= samples.clamp(min=1)[:, None]
    own = likelihoods.gather(1, labels[:, None])[:, 0]
    others = (usual * shares).sum(1) / samples.clamp(min=1)
    of_itself = samples / (samples - 1).clamp(min=1)
    gained = ((own - others[places]) * of_itself[places])[several].sum()
    known = torch.special.entr(shares).sum(1)[places][several].sum()
    return {"prediction.within": gained / known} if bool(known > 0) else {}
