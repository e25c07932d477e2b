"""Whether what a loss term asks of the parameters stays the same from one look to the next."""

from __future__ import annotations

import torch
from torch import Tensor

_MOST_ENTRIES = 4096
"""Entries of each parameter's gradient that are kept for the comparison."""


class Steadiness:
    """Remembers the gradient of every term at the probed step before.

    A term that can still be learned pulls the same way in every batch; the gradients of one at its
    noise floor are noise, and point anywhere.
    """

    def __init__(self) -> None:
        self._last: dict[str, dict[int, Tensor]] = {}

    def measure(self, name: str, gradient: dict[int, Tensor], keys: set[int]) -> Tensor | None:
        """Cosine of a term's gradient now and at the probed step before.

        Args:
            name: The term.
            gradient: Its gradient by the identity of the parameter.
            keys: The parameters that count.

        Returns:
            The cosine, a scalar; None at the first step, or where nothing can be compared.
        """
        now = {
            key: gradient[key].detach().reshape(-1)[:_MOST_ENTRIES].float().clone()
            for key in keys & gradient.keys()
        }
        last = self._last.get(name, {})
        self._last[name] = now
        common = [key for key in now if key in last and last[key].shape == now[key].shape]
        if not common:
            return None
        one, other = (torch.cat([part[key] for key in common]) for part in (now, last))
        cosine: Tensor = torch.dot(one, other) / (one.norm() * other.norm())
        return cosine
