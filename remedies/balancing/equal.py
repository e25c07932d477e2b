"""Equal gradients: every term moves the shared parameters as much as any other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from probes.tap.terms import LossTerm
from remedies.balancing.gram import gram_matrix, keeping_length

_KEPT = 0.9
_SMALLEST = 1e-6
"""Of the largest norm: a head that begins at zero is not blown up."""


class EqualGradients:
    """Divides each term by a moving average of the norm of its gradient on what is shared.

    The goal of GradNorm (Chen et al. 2018) with equal training rates, reached at once instead of
    by gradient descent on the weights.
    """

    def __init__(self) -> None:
        self._squares: dict[str, float] = {}

    def factors(self, loss: Tensor, terms: Sequence[LossTerm]) -> list[float]:
        """See `Strategy.factors`."""
        gram = gram_matrix(loss, terms)
        if gram is None:
            return [1.0] * len(terms)
        for term, square in zip(terms, gram.diagonal().tolist(), strict=True):
            before = self._squares.get(term.name, square)
            self._squares[term.name] = _KEPT * before + (1 - _KEPT) * square
        norms = torch.tensor([self._squares[term.name] for term in terms]).sqrt()
        if not float(norms.max()) > 0:
            return [1.0] * len(terms)
        norms = norms.clamp(min=_SMALLEST * float(norms.max()))
        return keeping_length(1 / norms, norms)
