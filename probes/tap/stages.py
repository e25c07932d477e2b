"""Which optimizers are in use: a program may train one thing after another."""

from __future__ import annotations

import weakref

from torch.optim import Optimizer


class Stages:
    """Knows the optimizers of the stage of the training that a program is in.

    A stage begins where an optimizer is made after others made steps. Those that make steps in it
    belong to it, too: several that take turns are in use together, however rare their turns are.
    """

    def __init__(self) -> None:
        self._current: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._latest: weakref.ref[Optimizer] | None = None
        self._trains = False

    @property
    def current(self) -> list[Optimizer]:
        """Those in use."""
        return list(self._current)

    def made(self, optimizer: Optimizer) -> None:
        """Take note of one that was just made."""
        if self._trains:
            self._current.clear()
        self._trains = False
        self._current.add(optimizer)

    def stepped(self, optimizer: Optimizer) -> None:
        """Take note of a step."""
        self._trains = True
        if self._latest is None or self._latest() is not optimizer:
            self._latest = weakref.ref(optimizer)
            self._current.add(optimizer)
