"""Inner products of the gradients that the terms of a loss have on the parameters they share."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from probes.tap.terms import LossTerm, term_gradients


def gram_matrix(loss: Tensor, terms: Sequence[LossTerm]) -> Tensor | None:
    """The Gram matrix of the weighted gradients of the terms, on what two or more of them reach.

    Leaves ``.grad`` and the graph alone.

    Returns:
        Shape (terms, terms), in double precision, on the CPU; None where nothing is shared or a
        gradient is not finite.
    """
    _, gradients = term_gradients(loss, terms)
    shared = {key for a, b in itertools.combinations(gradients, 2) for key in a.keys() & b.keys()}
    total = torch.zeros(len(terms), len(terms), dtype=torch.float64)
    for key in shared:
        like = next(gradient[key] for gradient in gradients if key in gradient)
        rows = torch.stack(
            [gradient.get(key, torch.zeros_like(like)).flatten() for gradient in gradients]
        )
        total += (rows.float() @ rows.float().T).double().cpu()
    return total if shared and bool(total.isfinite().all()) else None


def keeping_length(weights: Tensor, norms: Tensor) -> list[float]:
    """Weights scaled so that the summed norms of the gradients stay what the script made them.

    So a strategy says how the terms share a step, and the script's learning rate how long it is.

    Args:
        weights: Of the terms, shape (terms,).
        norms: Of their gradients, shape (terms,).
    """
    length = (weights.abs() * norms).sum()
    if not float(length) > 0:
        return [1.0] * len(weights)
    found: list[float] = (weights * (norms.sum() / length)).tolist()
    return found
