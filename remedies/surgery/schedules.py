"""The schedules of the learning rate: which there are, and who moves them on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, SequentialLR

from probes.tap.schedules import aims, drives

if TYPE_CHECKING:
    from remedies.surgery.program import Program

_MADE = (LRScheduler, SequentialLR, ChainedScheduler)
"""Whose constructors all schedules go through, but for one that waits for a plateau."""


class Schedules:
    """The schedules that a program makes, from its first line on.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._made: list[Any] = []
        self._on_made: list[Callable[[Any], None]] = []
        self._held: set[type] = set()
        self._moving = False
        for kind in _MADE:
            program.replace(kind, "__init__", self._noting(kind.__init__))

    def aims(self, optimizer: Optimizer) -> list[float]:
        """The rate that the schedules of an optimizer mean to reach, for each of its groups."""
        return aims(optimizer, self._of(optimizer))

    def hold(self) -> None:
        """Let the moves that the script makes do nothing; see `move`."""
        self._on_made.append(self._hold)

    def move(self, optimizer: Optimizer) -> bool:
        """Move on the schedules of an optimizer; whether there is one."""
        schedules = self._of(optimizer)
        parts = {id(p) for schedule in schedules for p in getattr(schedule, "_schedulers", ())}
        whole = [schedule for schedule in schedules if id(schedule) not in parts]
        self._moving = True
        try:
            for schedule in whole:
                schedule.step()
        except ValueError:  # That of one cycle is at its end.
            pass
        finally:
            self._moving = False
        return bool(whole)

    def _of(self, optimizer: Optimizer) -> list[Any]:
        return [schedule for schedule in self._made if drives(schedule, optimizer)]

    def _noting(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def made(schedule: Any, *args: Any, **kwargs: Any) -> None:
            original(schedule, *args, **kwargs)
            if not any(known is schedule for known in self._made):
                self._made.append(schedule)
                for listener in self._on_made:
                    listener(schedule)

        return made

    def _hold(self, schedule: Any) -> None:
        for kind in type(schedule).__mro__:
            if "step" in vars(kind) and kind not in self._held:
                self._held.add(kind)
                self._program.replace(kind, "step", self._holding(vars(kind)["step"]))

    def _holding(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def step(schedule: Any, *args: Any, **kwargs: Any) -> None:
            # The first move is its constructor's own.
            if self._moving or getattr(schedule, "_is_initial", False):
                original(schedule, *args, **kwargs)

        return step
