"""What the numbers of the actions mean."""

from __future__ import annotations

from collections.abc import Sequence

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

    def treatment(self, play: Play, action: int) -> Treatment | None:
        """What is applied after an action other than stop; None where it cannot be taken."""
        place = action - 1
        code = self._codes[place % len(self._codes)]
        held = next((applied for applied in play.applied if applied.remedy == code), None)
        if place >= len(self._codes):
            return play.without(held) if held else None
        return play.varied(held) if held else play.added(code)

    def mask(self, play: Play) -> NDArray[np.int8]:
        """1 for each action that can be taken, shaped (actions,)."""
        possible = [self.treatment(play, action) is not None for action in range(1, self.count)]
        return np.array([True, *possible], dtype=np.int8)

    def applied(self, play: Play) -> NDArray[np.int8]:
        """1 for each remedy that is applied, shaped (remedies,)."""
        held = {action.remedy for action in play.applied}
        return np.array([code in held for code in self._codes], dtype=np.int8)

    def targets(self, play: Play) -> dict[int, str]:
        """Where each remedy would be applied, by the number of the action."""
        found = {}
        for action in range(1, 1 + len(self._codes)):
            treatment = self.treatment(play, action)
            if treatment is not None and len(treatment) > len(play.applied):
                found[action] = treatment[-1].target
        return found
