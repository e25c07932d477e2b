"""Elements: a mean over many elements counts more than one over few."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from probes.tap.terms import LossTerm


class ByElements:
    """Multiplies each term by the root of its number of elements, relative to the smallest."""

    def factors(self, loss: Tensor, terms: Sequence[LossTerm]) -> list[float]:
        """See `Strategy.factors`."""
        counts = [term.scalars[0].elements if term.scalars else 1 for term in terms]
        return [float((count / min(counts)) ** 0.5) for count in counts]
