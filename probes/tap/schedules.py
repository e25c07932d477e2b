"""Learning rates, and how often their schedule is moved on."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from probes.tap.guard import quietly
from probes.tap.multipliers import peak
from probes.tap.optimizers import Optimizers
from probes.tap.statistics import Collector
from probes.tap.wrap import all_undone, wrap

_ABOUT_ONE = 2.0


class ScheduleWatch:
    """Reads the learning rate at every probed step.

    Args:
        optimizers: Names them.
        collector: Takes ``rate.value`` at the optimizer, the highest rate of its groups, and where
            it has a schedule ``rate.aim``, the highest rate that this means to reach; and at
            ``optimizer@file.py:12``, the line that moves the schedule, ``schedule.position``: how
            often it was moved so far, and ``schedule.length``: how often it means to be, where it
            knows (0 otherwise).
    """

    def __init__(self, optimizers: Optimizers, collector: Collector) -> None:
        self._optimizers = optimizers
        self._collector = collector
        self._on = False
        self._schedules: dict[int, tuple[weakref.ref[Any], str | None, int]] = {}

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = [
            wrap(LRScheduler, "step", before=self._before_move),
            register_optimizer_step_post_hook(self._after_step).remove,
        ]
        return all_undone(undo)

    def switch_on(self) -> None:
        """Read the rates of the next step."""
        self._on = True

    def switch_off(self) -> None:
        """Read no more."""
        self._on = False

    @quietly
    def _before_move(self, schedule: Any, *args: Any, **kwargs: Any) -> None:
        # Its constructor's own moves do not count; the line of the first is that of all others.
        reference, line, moves = self._schedules.get(id(schedule), (None, None, 0))
        if reference is None or reference() is not schedule:
            reference, line, moves = weakref.ref(schedule), None, 0
        if not schedule._is_initial:
            line, moves = line or self._optimizers.line(), moves + 1
        self._schedules[id(schedule)] = reference, line, moves

    @quietly
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        # After the step, before anybody takes back a rate that was lent for it.
        if not self._on or self._optimizers.find(optimizer) is None:
            return
        where = self._optimizers.tell(optimizer)
        rate = max((float(group.get("lr", 0.0)) for group in optimizer.param_groups), default=0.0)
        found = {"rate.value": rate}
        schedules = self._of(optimizer)
        if schedules:
            found["rate.aim"] = max(aims(optimizer, [schedule for schedule, _, _ in schedules]))
        self._collector.add("train", where, found)
        for schedule, line, moves in schedules:
            if line:
                length = getattr(schedule, "total_steps", None) or getattr(schedule, "T_max", 0)
                found = {"schedule.position": float(moves), "schedule.length": float(length or 0)}
                self._collector.add("train", f"{where}@{line}", found)

    def _of(self, optimizer: Optimizer) -> list[tuple[Any, str | None, int]]:
        """The schedules of an optimizer that still exist, their lines and moves."""
        alive = [(ref(), line, moves) for ref, line, moves in self._schedules.values()]
        return [each for each in alive if drives(each[0], optimizer)]


def drives(schedule: Any, optimizer: Optimizer) -> bool:
    """Whether a schedule sets the rates of an optimizer; it may hold what others wrap around it."""
    held = getattr(schedule, "optimizer", None)
    return getattr(held, "param_groups", None) is optimizer.param_groups


def aims(optimizer: Optimizer, schedules: Sequence[Any]) -> list[float]:
    """The rate that its schedules mean to reach, for each parameter group of an optimizer.

    That is the one that the group was made with, or the highest of a cycle; where a function
    multiplies it by something that is never about one, the highest product.
    """
    cycles = [list(getattr(schedule, "max_lrs", ())) for schedule in schedules]
    functions = getattr(schedules[0], "lr_lambdas", ()) if len(schedules) == 1 else ()
    factors = [_factor(function) for function in functions]
    return [
        max(
            float(group.get("initial_lr", group.get("lr", 0.0)))
            * (factors[place] if place < len(factors) else 1.0),
            float(group.get("max_lr", 0.0)),
            *(float(cycle[place]) for cycle in cycles if place < len(cycle)),
        )
        for place, group in enumerate(optimizer.param_groups)
    ]


def _factor(function: object) -> float:
    """One for nearly all: the peak is known roughly."""
    found = peak(function)
    return 1.0 if found is None or 1 / _ABOUT_ONE < found < _ABOUT_ONE else found
