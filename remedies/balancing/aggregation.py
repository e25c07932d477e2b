"""Aggregation: weights from the Gram matrix of the gradients, by TorchJD."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from probes.tap.terms import LossTerm
from remedies.balancing.gram import gram_matrix, keeping_length

WEIGHTINGS = {
    "aligned-mtl": "AlignedMTLWeighting",
    "imtl-g": "IMTLGWeighting",
    "mgda": "MGDAWeighting",
    "pcgrad": "PCGradWeighting",
    "upgrad": "UPGradWeighting",
}
"""Classes of `torchjd.aggregation` that need no more than a Gram matrix, by strategy."""


class Aggregation:
    """Asks a weighting of TorchJD in every backward pass.

    Args:
        name: A key of `WEIGHTINGS`.
    """

    def __init__(self, name: str) -> None:
        from torchjd import aggregation

        self._weighting = getattr(aggregation, WEIGHTINGS[name])()

    def factors(self, loss: Tensor, terms: Sequence[LossTerm]) -> list[float]:
        """See `Strategy.factors`."""
        gram = gram_matrix(loss, terms)
        largest = 0.0 if gram is None else float(gram.diagonal().max())
        if gram is None or largest <= 0:
            return [1.0] * len(terms)
        with torch.random.fork_rng(devices=[]):  # PCGrad draws an order of its own.
            weights = self._weighting(gram / largest)
        return keeping_length(weights, gram.diagonal().sqrt())
