"""The metric that a run is judged by: which one, in which direction, and its value for a run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from probes import _words
from probes.series import Series
from probes.trace import Trace

Mode = Literal["min", "max"]


class Objective(BaseModel):
    """A metric's name and whether more or less of it is better.

    Attributes:
        name: As the script prints or logs it.
        mode: ``max`` when higher is better.
        source: Where it was read: ``printed``, ``mlflow``, ``tensorboard``, ``wandb``; or
            ``backward`` for the loss that the script trains on, where it reports nothing.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    mode: Mode
    source: str = "printed"

    @property
    def worst(self) -> float:
        """A finite value worse than any real one: what a diverged run is told as."""
        return -1e12 if self.mode == "max" else 1e12

    @property
    def upper_bound(self) -> float | None:
        """The best value that can be had, where the name tells it: 1 for accuracies, 0 for losses.

        Percentages are not told apart by name; see `best`.
        """
        if self.mode == "min":
            return 0.0
        return 1.0 if _words.tokens(self.name) & _words.BOUNDED_BY_ONE else None

    @property
    def bounded(self) -> bool:
        """Whether the best value is known for sure; the floor of a loss is not."""
        return self.mode == "max" and self.upper_bound is not None

    def series(self, trace: Trace) -> Series:
        """The curve of the metric in a run; empty when the run did not report it."""
        if self.source == "backward":
            return trace.signal("train", "loss", "loss.value")
        return trace.metrics.get(self.name, Series())

    def final(self, trace: Trace) -> float:
        """The value at the end of a run: the mean of the last tenth of the curve, at least one.

        A run that diverged or never reported the metric has `worst`.
        """
        values = self.series(trace).values
        last = values[-max(1, len(values) // 10) :]
        if not last or not all(math.isfinite(value) for value in last):
            return self.worst
        return sum(last) / len(last)

    def gain(self, before: float, after: float) -> float:
        """How much better ``after`` is than ``before``; negative when it is worse.

        >>> Objective(name="val_loss", mode="min").gain(before=2.0, after=0.5)
        1.5
        """
        return after - before if self.mode == "max" else before - after

    def best(self, values: Sequence[float]) -> float | None:
        """The best value of a metric that has these values: 100 for accuracies in percent.

        A coefficient of determination may be far below zero, and is no percentage for that.

        >>> accuracy = Objective(name="val_acc", mode="max")
        >>> accuracy.best([0.3, 0.4]), accuracy.best([12.5, 80.0])
        (1.0, 100.0)
        >>> Objective(name="r2", mode="max").best([-4.85, 0.08])
        1.0
        """
        best = self.upper_bound
        return 100.0 if best == 1.0 and max(values, default=0.0) > 1.5 else best

    def headroom(self, start: float, end: float) -> tuple[float, float] | None:
        """Which share of the way from ``start`` to the best value was gone, and what is left.

        Returns:
            ``(gone, left)``, both as shares; None where no best value is known. ``left`` is in
            units of the whole range for accuracies, of ``start`` for losses.

        >>> Objective(name="val_acc", mode="max").headroom(0.0, 0.75)
        (0.75, 0.25)
        """
        best = self.best([start, end])
        if best is None:
            return None
        way = abs(best - start)
        if way == 0:
            return 1.0, 0.0
        scale = best if best else way
        return self.gain(start, end) / way, abs(best - end) / scale

    @classmethod
    def infer(cls, trace: Trace) -> Objective | None:
        """The metric that a person would look at, or None when there is nothing to judge by.

        Held-out metrics come before training ones, accuracies before losses, losses before single
        terms of them and before those of one of two players, a metric with a curve before a single
        number, and the one reported first before the others. A run that reported nothing is judged
        by the loss that it trains on.
        """
        ranked = rank({name: len(series) for name, series in trace.metrics.items()})
        if not ranked:
            trains = len(trace.signal("train", "loss", "loss.value")) > 0
            return cls(name="loss", mode="min", source="backward") if trains else None
        name = ranked[0]
        mode = infer_mode(name, trace.metrics)
        return cls(name=name, mode=mode, source=trace.metrics[name].source)


def rank(points: Mapping[str, int]) -> list[str]:
    """The metrics that a run may be judged by, the one that a person would look at first.

    Args:
        points: How many values each of them has.

    >>> rank({"loss": 9, "val_acc": 9, "epoch": 9})
    ['val_acc', 'loss']
    """
    scores = _scores_of_phases(points)
    names = (name for name in points if not _is_bookkeeping(name))
    return sorted(names, key=lambda name: _preference(name, points[name], name in scores))


def infer_mode(name: str, reported: Collection[str] = ()) -> Mode:
    """Whether a metric of this name is better when it is higher.

    Args:
        name: The name.
        reported: All names that the run reports.

    >>> infer_mode("val/acc"), infer_mode("Average loss"), infer_mode("test_error")
    ('max', 'min', 'min')
    >>> infer_mode("Val"), infer_mode("Val", ["Loss", "Train", "Val", "Test"])
    ('min', 'max')
    """
    if name in _scores_of_phases(reported):
        return "max"
    tokens = _words.tokens(name)
    if tokens & _words.LOWER_IS_BETTER:
        return "min"
    return "max" if tokens & _words.HIGHER_IS_BETTER else "min"


def _is_bookkeeping(name: str) -> bool:
    tokens = _words.tokens(name)
    known = tokens & _words.METRICS
    return bool(tokens & _words.BOOKKEEPING) and not known


def _scores_of_phases(reported: Collection[str]) -> set[str]:
    """Accuracies and the like without a name, as in "Loss: 0.41, Train: 0.93, Val: 0.81".

    Where there is a number for the training beside the loss, it is no loss, nor are its like.
    """
    words = {name: _words.tokens(name) for name in reported}
    named = [name for name in words if not _is_bookkeeping(name)]  # "batch: 12" is.
    bare = {name for name in named if words[name] <= _words.PHASES}
    losses = any(tokens & _words.LOWER_IS_BETTER for tokens in words.values())
    return bare if losses and any(words[name] & _words.TRAINING for name in bare) else set()


def _preference(name: str, points: int, score: bool) -> tuple[bool, ...]:
    tokens = _words.tokens(name)
    return (
        not (score or tokens & _words.METRICS),
        bool(tokens & (_words.TERMS | _words.PLAYERS)),
        not tokens & _words.HELD_OUT,
        bool(tokens & _words.TRAINING),
        points < 2,
        not (score or tokens & _words.HIGHER_IS_BETTER),
    )
