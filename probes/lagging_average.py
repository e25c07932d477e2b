"""P313: an average of the weights that is evaluated, and has hardly left its beginning."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from probes import _progress, _words
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_BEHIND = 0.5
_JUMP = 0.5
"""Share of its distance from which on a copy does not follow, but is set to the weights."""
_TAKEN_IN = 1.6
"""An average of a straight way that is behind by half of it has taken in so much of the weights."""
_AT_EACH_STEP = 0.5
"""Share of the steps from which on a pass without gradient belongs to the training."""
_FEWEST_STEPS = 3
_NAMES = {
    "ema", "avg", "average", "averaged", "averages", "swa", "shadow", "teacher", "target",
    "polyak", "smoothed", "slow", "momentum",
}  # fmt: skip
"""Words in the name of a metric that tell of a copy where the trained model is evaluated, too."""


@dataclass(frozen=True)
class _Look:
    """The last evaluation of a copy.

    Attributes:
        line: The line that calls it.
        step: When.
        lag: Which share of the way it has before it.
    """

    line: str
    step: int
    lag: float


class LaggingAverage(Probe):
    """An average of the weights that is evaluated, and has hardly left its beginning.

    What it detects:
        The metric is that of an exponential moving average of the weights whose decay is too slow
        for the length of the run: 0.9999 in a run of 400 steps.

    Why it harms:
        An average with a decay d reaches back over the last 1 / (1 - d) steps. Where these are more
        than the run has, it consists mostly of the weights that it began with: what is evaluated,
        kept and shipped is a model that was hardly trained, whatever the training achieves.

    Rule:
        A copy of the trained model (same class, names and shapes of the parameters, in no
        optimizer) is evaluated without gradient. At its last evaluation, in the second half of the
        run, it is an alarm where more than half of the way of the weights since their first step
        is still before it: the vector from copy to weights, projected on that way. Noise of the
        weights does not count as a lag: the copy must also have gone towards the weights in small
        steps, which together are less than 1.6 times its distance from them. That is what an
        average has taken in of weights that go straight on when it is behind by a half. Half is
        where more of the copy is beginning than is training; an average over the last tenth of a
        run is behind by less than that, however straight the way. Copies that are frozen, or set to
        the weights in jumps (targets, best states), and lines that call the copy at every step
        (teachers) do not count. The metric must be that of the copy: it is no number of the
        training, and where the trained model is evaluated, too, its name says so (``ema_acc``).
        Averages that are kept as tensors and put into the trained model for the evaluation are not
        seen. Severity rises from 0.5 to 0.9 where the copy is where it began.

    Example:
        bad: ``AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9999))`` in 400 steps
        good: ``get_ema_multi_avg_fn(0.975)``, an average over a tenth of them

    Source:
        Polyak and Juditsky 1992, Acceleration of Stochastic Approximation by Averaging; Tarvainen
        and Valpola 2017, Mean teachers are better role models (a lower decay at the beginning, as
        the student improves quickly); Karras et al. 2024, Analyzing and Improving the Training
        Dynamics of Diffusion Models (the length of an average is a share of the run).
    """

    code = "P313"
    name = "lagging-average"
    signals = ("average.lag", "average.share", "average.beside", "average.written")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        copies = dict.fromkeys(_copy(place) for place in trace.places("average.lag", "eval"))
        for where in copies:
            look = _last_look(trace, where)
            if look is None or look.lag <= _BEHIND or 2 * look.step < trace.steps:
                continue
            if not _follows_slowly(trace, where) or not _is_judged_by(trace, where, metric):
                continue
            share = slowest(trace, where)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.4 * min(1.0, (look.lag - _BEHIND) / (1 - _BEHIND)),
                where=where,
                source=next(iter(written(trace, where)), look.line) or None,
                step=look.step,
                evidence={
                    "lag": look.lag,
                    "decay": 1 - share,
                    "horizon": 1 / share,
                    "steps": float(trace.steps),
                },
                message=(
                    f"an average of {where} is evaluated that still has {look.lag:.0%} of the way "
                    f"of the weights before it: its decay of {1 - share:.6g} reaches back over "
                    f"{1 / share:.0f} updates, and the run has {trace.steps} steps"
                ),
            )


def written(trace: Trace, where: str) -> list[str]:
    """The lines that change a copy."""
    places = trace.places("average.written")
    return [place.rpartition("@")[2] for place in places if _copy(place) == where]


def slowest(trace: Trace, where: str) -> float:
    """Which share of its distance a copy goes at an update, the median; 0 where it never goes."""
    shares = [value for _, value in _small(trace, where)]
    return statistics.median(shares) if shares else 0.0


def updates_per_step(trace: Trace, where: str) -> float:
    """How often a copy is updated, told from steps that were probed one after the other."""
    found = dict(trace.signal("train", where, "average.share").finite)
    dense = [v for step, v in found.items() if not found.keys().isdisjoint((step - 1, step + 1))]
    return sum(value > 0 for value in dense) / len(dense) if any(dense) else 1.0


def _small(trace: Trace, where: str) -> list[tuple[int, float]]:
    """The steps towards the weights that are no jumps."""
    found = trace.signal("train", where, "average.share").finite
    return [(step, value) for step, value in found if 0 < value < _JUMP]


def _copy(place: str) -> str:
    return place.rpartition("@")[0]


def _last_look(trace: Trace, where: str) -> _Look | None:
    """At the lines that are no part of the training."""
    looks = []
    for place in trace.places("average.lag", "eval"):
        seen = trace.signal("eval", place, "average.lag").finite
        if _copy(place) == where and len(seen) and not _at_each_step(trace, place, "average.lag"):
            line = place.rpartition("@")[2]
            looks.append(_Look(line, seen.steps[-1], seen.values[-1]))
    return max(looks, key=lambda look: look.step, default=None)


def _at_each_step(trace: Trace, place: str, name: str) -> bool:
    """Whether a line calls a model in most steps, from the first time on."""
    called = trace.signal("eval", place, name).steps
    measured = trace.signal("train", _copy(place), "average.share").steps
    probed = {step for step in measured if step >= called[0]}
    within = probed.intersection(called)
    return len(probed) >= _FEWEST_STEPS and len(within) > _AT_EACH_STEP * len(probed)


def _follows_slowly(trace: Trace, where: str) -> bool:
    measured = trace.signal("train", where, "average.share").steps
    until = dict(zip(measured, [*measured[1:], trace.steps], strict=False))
    small = _small(trace, where)
    taken_in = sum(value * (until[step] - step) for step, value in small)
    return bool(small) and taken_in < _TAKEN_IN


def _is_judged_by(trace: Trace, where: str, metric: Objective | None) -> bool:
    """Whether the metric is that of the copy, and leaves something to gain."""
    if metric is None or metric.source == "backward":
        return False
    words = _words.tokens(metric.name)
    beside = any(
        _copy(place) == where and not _at_each_step(trace, place, "average.beside")
        for place in trace.places("average.beside", "eval")
    )
    named = bool(words & _NAMES)
    if (beside and not named) or (words & _words.TRAINING and not named):
        return False
    return _progress.leaves(trace, metric, _progress.NEARLY)
