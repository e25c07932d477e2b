"""What was recorded of averages of the weights."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from probes.series import Series
from probes.trace import Trace

_LAGS = ("average.lag", "average.swapped")
_JUMP = 0.5
"""Share of its distance from which on a copy does not follow, but is set to the weights."""
_AT_EACH_STEP = 0.5
"""Share of the steps from which on a pass without gradient belongs to the training."""
_FEWEST_STEPS = 3


@dataclass(frozen=True)
class Look:
    """An evaluation of an average.

    Attributes:
        line: The line that calls the model.
        step: When.
        lag: Which share of the way of the weights it has before it.
    """

    line: str
    step: int
    lag: float


def averages(trace: Trace) -> list[str]:
    """The models of which averages are evaluated."""
    places = [place for name in _LAGS for place in trace.places(name, "eval")]
    return list(dict.fromkeys(map(_model, places)))


def averaged(trace: Trace, place: str) -> str | None:
    """The model whose averaged copy a module is a part of; None where it is of no copy."""
    root, _, path = place.partition(":")
    model = root.partition("#")[0]
    return model if path and model in averages(trace) else None


def last_look(trace: Trace, where: str) -> Look | None:
    """The last evaluation, at the lines that are no part of the training."""
    looks = [
        Look(place.rpartition("@")[2], *list(seen)[-1])
        for name in _LAGS
        for place in trace.places(name, "eval")
        if _model(place) == where
        and len(seen := trace.signal("eval", place, name).finite)
        and not _at_each_step(trace, place, name)
    ]
    return max(looks, key=lambda look: look.step, default=None)


def has_rival(trace: Trace, where: str) -> bool:
    """Whether the trained model itself is evaluated beside its average."""
    name = "average.beside"
    places = [place for place in trace.places(name, "eval") if _model(place) == where]
    return any(not _at_each_step(trace, place, name) for place in places)


def written(trace: Trace, where: str) -> list[str]:
    """The lines that change a copy."""
    places = trace.places("average.written")
    return [place.rpartition("@")[2] for place in places if _model(place) == where]


def slowness(trace: Trace, where: str) -> float:
    """Which share of its distance an average goes at an update, the median; 0 if never."""
    shares = [value for _, value in _small(trace, where)]
    return statistics.median(shares) if shares else 0.0


def taken_in(trace: Trace, where: str) -> float:
    """What all steps of an average come to, each a share of its distance; jumps apart."""
    measured = _measured(trace, where).steps
    until = dict(zip(measured, [*measured[1:], trace.steps], strict=False))
    return sum(value * (until[step] - step) for step, value in _small(trace, where))


def updates_per_step(trace: Trace, where: str) -> float:
    """How often a copy is updated, told from steps that were probed one after the other."""
    found = dict(trace.signal("train", where, "average.share").finite)
    dense = [v for step, v in found.items() if not found.keys().isdisjoint((step - 1, step + 1))]
    return sum(value > 0 for value in dense) / len(dense) if any(dense) else 1.0


def _small(trace: Trace, where: str) -> list[tuple[int, float]]:
    return [(step, value) for step, value in _measured(trace, where) if 0 < value < _JUMP]


def _measured(trace: Trace, where: str) -> Series:
    """How far an average went in a step."""
    found = trace.signal("train", where, "average.share")
    return (found if len(found) else trace.signal("train", where, "average.pace")).finite


def _at_each_step(trace: Trace, place: str, name: str) -> bool:
    """Whether a line calls a model in most steps, from the first time on."""
    called = trace.signal("eval", place, name).steps
    measured = trace.signal("train", _model(place), "average.share").steps
    probed = {step for step in measured if step >= called[0]}
    within = probed.intersection(called)
    return len(probed) >= _FEWEST_STEPS and len(within) > _AT_EACH_STEP * len(probed)


def _model(place: str) -> str:
    return place.rpartition("@")[0]
