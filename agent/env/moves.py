"""What the numbers of the actions mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.env.play import Play
from remedies.treatment import Treatment

STOP = 0


class Moves:
    """The actions of one version: stop, apply each remedy, take each back.

    Args:
        codes: The remedies, in the order of the version.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        self._codes = tuple(codes)
        self.count = 1 + 2 * len(self._codes)

    def possible(self, play: Play) -> dict[int, Treatment]:
        """The actions other than stop that can be taken, and what is applied after each."""
        after = {action: self._treatment(play, action) for action in range(1, self.count)}
        return {action: treatment for action, treatment in after.items() if treatment is not None}

    def _treatment(self, play: Play, action: int) -> Treatment | None:
        place = action - 1
        code = self._codes[place % len(self._codes)]
        held = next((applied for applied in play.applied if applied.remedy == code), None)
        if place >= len(self._codes):
            return play.without(held) if held else None
        return play.varied(held) if held else play.added(code)

    def mask(self, possible: Iterable[int]) -> NDArray[np.int8]:
        """1 for each action that can be taken, shaped (actions,)."""
        mask = np.zeros(self.count, dtype=np.int8)
        mask[[STOP, *possible]] = 1
        return mask

    def applied(self, play: Play) -> NDArray[np.int8]:
        """1 for each remedy that is applied, shaped (remedies,)."""
        held = {action.remedy for action in play.applied}
        return np.array([code in held for code in self._codes], dtype=np.int8)
