"""When a trial may be given up: it has been worse than the control all along, at the same steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from statistics import fmean

from probes.objective import Objective
from probes.series import Series

_EARLIEST = 0.5  # of the control's steps: nothing is given up before
_WINDOW = 0.25  # of the control's steps: from here on every point must be worse
_LEAST_POINTS = 2


class Judge:
    """Compares the curve of a running trial with the control's curve of the same seed.

    A trial is given up only after half of the control's steps, when it was never better than the
    control at the same step, was worse at each one since a quarter of the steps, and is not
    catching up. A remedy that slows training down first and wins later thus gets its time.
    """

    def __init__(self, objective: Objective, control: Series) -> None:
        self._objective = objective
        self.control = control
        self._steps, self._values = control.steps, control.values
        self.last_step = max(self._steps, default=0)
        """The control's last reported step; 0 without a control."""

    def hopeless(self, curve: Mapping[int, float]) -> bool:
        """Whether the trial with this curve so far, by step, cannot become a cure any more.

        >>> loss = Objective(name="loss", mode="min")
        >>> judge = Judge(loss, Series([10, 20, 30, 40], [4.0, 3.0, 2.5, 2.0]))
        >>> judge.hopeless({10: 5.0, 20: 5.0})
        True
        >>> judge.hopeless({10: 5.0}), judge.hopeless({10: 3.9, 20: 5.0})
        (False, False)
        """
        if not curve or max(curve) < _EARLIEST * self.last_step:
            return False
        compared = [(step, self._gain(step, curve[step])) for step in sorted(curve)]
        gains = [(step, gain) for step, gain in compared if gain is not None]
        window = [gain for step, gain in gains if step >= _WINDOW * self.last_step]
        if len(window) < _LEAST_POINTS or any(gain > 0 for _, gain in gains):
            return False
        return max(window) < 0 and window[-1] <= fmean(window)

    def _gain(self, step: int, value: float) -> float | None:
        """How much better the trial is than the control at this step; None past its end."""
        index = bisect_right(self._steps, step)
        if index == 0 or step > self.last_step:
            return None
        before = self._values[index - 1]
        if index < len(self._steps) and math.isfinite(before):
            start, end = self._steps[index - 1], self._steps[index]
            after = self._values[index]
            share = (step - start) / (end - start) if end > start else 0.0
            before += share * (after - before) if share else 0.0
        worst = self._objective.worst
        return self._objective.gain(
            before if math.isfinite(before) else worst, value if math.isfinite(value) else worst
        )


class Curve:
    """What a running trial reported, thinned: a point at most every ``spacing`` steps.

    Attributes:
        points: The value at each step.
    """

    def __init__(self, spacing: float, full_hearing: bool) -> None:
        self.full_hearing = full_hearing
        self.grown = False
        self._spacing = spacing
        self._last: int | None = None
        self.points: dict[int, float] = {}

    def take(self, step: int, value: float) -> None:
        """Add a point, unless it is too near to the one before."""
        if self._last is not None and step < self._last + max(1.0, self._spacing):
            return
        self._last = step
        self.points[step] = value
        self.grown = True
