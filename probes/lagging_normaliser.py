"""P203: the weight of a loss term follows a moving average of its own past value."""

from __future__ import annotations

import math
from collections.abc import Iterable

from probes import _series
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import Symptom
from probes.trace import Trace

_LAGS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
_VARIES = 0.1
_EXPLAINED = 0.95
_FEWEST = 12


class LaggingNormaliser(Probe):
    """The weight of a loss term follows a moving average of its own past value.

    What it detects:
        A loss term that is divided by a running mean of itself, so that its weight times its past
        value is constant. The lag of the mean is told in optimizer steps.

    Why it harms:
        It need not: most such runs are fine. But the printed total says nothing any more (each term
        stays at its weight), the effective learning rate of a term grows as the term falls, and
        while the loss changes faster than the mean, the weight is that of a loss long past. Values
        are made equal, gradients are not (see P202).

    Rule:
        The logarithm of the weight varies (standard deviation of 0.1 or more over the run), and a
        moving average of the term's value, with a lag between 1 and 200 steps, explains at least
        95 % of that variance when the weight is taken to be inversely proportional to it. Always
        an observation (severity 0.3).

    Example:
        bad: ``mean = 0.95 * mean + 0.05 * loss.item(); total += loss / mean`` (a lag of 20 steps)
        good: weights that are constants, or that are set by the gradients of the terms

    Source:
        The investigation of a reduction bias: a momentum of 0.95 still lags after 20 steps.
    """

    code = "P203"
    name = "lagging-normaliser"
    signals = ("term.weight", "term.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("term.weight"):
            weight = trace.signal("train", where, "term.weight").finite
            value = trace.signal("train", where, "term.value").finite
            if weight.steps != value.steps or len(weight) < _FEWEST:
                continue
            if min(map(abs, weight.values)) <= 0 or min(value.values) <= 0:
                continue
            targets = [math.log(abs(w)) for w in weight.values]
            spread = _deviation(targets)
            if spread < _VARIES:
                continue
            fits = {lag: _explained(targets, value, lag) for lag in _LAGS}
            lag = max(fits, key=lambda each: fits[each])
            if fits[lag] >= _EXPLAINED:
                yield self._symptom(trace, where, value, lag, fits[lag])

    def _symptom(
        self, trace: Trace, where: str, value: Series, lag: float, explained: float
    ) -> Symptom:
        drop = _series.relative_drop(value, trace.steps, 0.0) or 0.0
        return Symptom(
            code=self.code,
            name=self.name,
            severity=0.3,
            where=where,
            source=trace.terms[where].source if where in trace.terms else None,
            evidence={"lag": lag, "explained": explained, "value_drop": drop},
            message=(
                f"the weight of {where} is the inverse of a mean of its own values over about "
                f"{lag:.0f} steps ({explained:.1%} of its variation): it keeps the term's value "
                "constant, whatever its gradient is"
            ),
        )


def _averaged(series: Series, lag: float) -> list[float]:
    """A moving average with a lag in steps, a plain mean until there are so many."""
    averages: list[float] = []
    before = 0
    for step, value in series:
        keep = min(math.exp(-(step - before) / lag), len(averages) / (len(averages) + 1))
        averages.append(keep * averages[-1] + (1 - keep) * value if averages else value)
        before = step
    return averages


def _explained(targets: list[float], value: Series, lag: float) -> float:
    """Which share of the variance goes when the weight times the average is taken as constant."""
    logs = [math.log(average) for average in _averaged(value, lag)]
    rest = _deviation([target + log for target, log in zip(targets, logs, strict=True)])
    return 1 - (rest / _deviation(targets)) ** 2


def _deviation(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
