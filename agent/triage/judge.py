"""Reads from logged metrics whether a run that ended by itself is sick.

Nothing here is an absolute threshold: a run is compared with itself and with the runs before it.
Only the metric that a person would look at is judged, since each further one is a further chance
of a false alarm; numbers that are no numbers are told of all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from statistics import median

from agent.text import number
from agent.triage.runs import Case, Run, is_finite
from probes.objective import Mode, infer_mode, rank

History = Callable[[str, str], list[tuple[int, float]]]
"""Steps and values of a metric, by run and name."""

_REMEMBERED = 200
_ENOUGH = 5
"""Earlier runs from which it is known what is usual."""
_OUTLYING = 5.0
"""Standard deviations (of a normal distribution with this median deviation) from the usual."""
_WAY = 0.5
"""Share of the way, from its own start to what is usual, that a run must have gone."""
_LOST = 0.75
"""Share of what it had gained that a run may lose."""
_POINTS = 5
_ROUGHNESS = 4.0
"""Typical differences of neighbouring values that a gain must exceed to be one."""


class Judge:
    """Judges the runs of one experiment, in the order in which they ended.

    Args:
        history: Reads curves; asked for few runs only.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._earlier: deque[dict[str, float]] = deque(maxlen=_REMEMBERED)

    def remember(self, run: Run) -> None:
        """Take a run for one of those that tell what is usual."""
        if (name := chosen_metric(run)) is not None and is_finite(run.metrics[name]):
            self._earlier.append({name: run.metrics[name]})

    def judge(self, run: Run) -> Case | None:
        """What is wrong with a run that FINISHED, if anything; a good one is remembered."""
        case = self._not_finite(run)
        name = chosen_metric(run)
        if case is None and name is not None:
            usual = [values[name] for values in self._earlier if name in values]
            if len(usual) >= _ENOUGH:
                case = self._behind(run, name, usual)
            else:
                case = self._collapsed(run, name)
        if case is None:
            self.remember(run)
        return case

    def _not_finite(self, run: Run) -> Case | None:
        broken = sorted(name for name, value in run.metrics.items() if not is_finite(value))
        if not broken:
            return None
        return Case(run, "not-finite", f"{broken[0]} is no finite number any more")

    def _behind(self, run: Run, name: str, usual: Sequence[float]) -> Case | None:
        sign, middle = _sign(infer_mode(name)), median(usual)
        spread = 1.4826 * median(abs(value - middle) for value in usual)
        value = run.metrics[name]
        if sign * (middle - value) <= _OUTLYING * spread:
            return None
        curve = _finite(self._history(run.run_id, name))
        if len(curve) >= 2:
            behind = sign * (value - curve[0]) < _WAY * sign * (middle - curve[0])
        else:  # Nothing tells where it began: half as good, or an error twice as large.
            behind = value < _WAY * middle if sign > 0 else value * _WAY > middle > 0
        if not behind:
            return None
        told = f"{name} {number(value)}, where {len(usual)} earlier runs have {number(middle)}"
        return Case(run, "behind", told)

    def _collapsed(self, run: Run, name: str) -> Case | None:
        curve = _finite(self._history(run.run_id, name))
        if len(curve) < _POINTS:
            return None
        sign = _sign(infer_mode(name))
        best = max(curve, key=lambda value: sign * value)
        gained = sign * (best - curve[0])
        steps = [abs(b - a) for a, b in zip(curve, curve[1:], strict=False)]
        if gained <= 0 or gained <= _ROUGHNESS * median(steps):
            return None
        last = curve[-max(2, len(curve) // 5) :]
        if not all(sign * (best - value) > _LOST * gained for value in last):
            return None
        return Case(run, "collapsed", f"{name} fell from {number(best)} to {number(curve[-1])}")


def chosen_metric(run: Run) -> str | None:
    """The metric that a person would look at, by its name; None where there is none.

    >>> chosen_metric(Run("1", "a", "0", "FINISHED", 0.0, metrics={"loss": 0.1, "val_acc": 0.9}))
    'val_acc'
    """
    return next(iter(rank(dict.fromkeys(sorted(run.metrics), 1))), None)


def _sign(mode: Mode) -> float:
    return 1.0 if mode == "max" else -1.0


def _finite(points: Sequence[tuple[int, float]]) -> list[float]:
    return [value for _, value in points if is_finite(value)]
