"""How far logits are from the scale at which their loss would be least."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from probes.tap.statistics import stride

_MOST_NUMBERS = 2**16
_FEWEST_ROWS = 16
_MOST_DOUBLINGS = 12
_NEARLY = 0.9
"""Share of what the best factor gains from which on a smaller one does."""


def sharpness(scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What multiplying all logits by one factor would make of the cross-entropy.

    Args:
        scores: Logits or logarithms of probabilities, shape (positions, classes).
        labels: Class of each position, shape (positions,).

    Returns:
        ``logits.loss``: the mean cross-entropy in nats, of some positions that are evenly spread.
        ``logits.equal_loss``: that of equal logits, which is that of a factor of 0.
        ``logits.best_loss``: the least that a factor of 1, 2, 4 and so on up to 4096 gives.
        ``logits.factor``: the smallest of them that gains nine tenths of that over equal logits.
        ``logits.spread``: how far the largest logit is above the middle one, in the mean. Nothing
        where there are no positions.
    """
    classes = scores.shape[1]
    most = max(_FEWEST_ROWS, _MOST_NUMBERS // classes)
    step = stride(len(labels), most)
    rows, wanted = scores[::step].float(), labels[::step]
    if not wanted.numel() or classes < 2:
        return {}
    losses = torch.stack(
        [
            functional.cross_entropy(rows * 2.0**doublings, wanted)
            for doublings in range(_MOST_DOUBLINGS + 1)
        ]
    )
    equal = math.log(classes)
    best = losses.min()
    enough = equal - losses >= _NEARLY * (equal - best)
    powers = torch.arange(len(losses), device=losses.device, dtype=losses.dtype)
    return {
        "logits.loss": losses[0],
        "logits.equal_loss": losses.new_tensor(equal),
        "logits.best_loss": best,
        "logits.factor": torch.where(enough, powers, torch.inf).min().exp2(),
        "logits.spread": (rows.amax(1) - rows.median(1).values).mean(),
    }
