"""P702: nearly all values of a sigmoid or tanh lie at their bounds."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _series
from probes.base import Probe
from probes.facts import ActivationInfo
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_SATURATED = 0.8
_PERSISTS = 0.8
_FEWEST_POINTS = 4


class SaturatedUnits(Probe):
    """Nearly all values of a sigmoid or tanh lie at their bounds.

    What it detects:
        A hidden layer with a sigmoid or tanh, as a module or as a call, or a plain recurrent
        layer, whose outputs are at the bounds for nearly all samples and units.

    Why it harms:
        At the bounds the slope is next to zero, so that nothing before the layer learns, and all
        that it tells of a sample is a few signs. Causes: weights that began too large, inputs that
        are not standardised, a learning rate that is too high. The gates of an LSTM or GRU are
        not looked at: they may well be open or shut.

    Rule:
        A value is at a bound when the slope there is less than 4 % of the largest. In the median
        over the second half of the run and in four of five of its points, four fifths of all
        values of a hidden layer are. A model that is sure of itself may be like that: that alone
        is an observation (severity 0.3). It is an alarm where the run suffers: predictions of what
        it is trained on are no better than a constant, or the metric stands still with more than a
        fifth of the way left. Severity then rises from 0.6 to 1 with the share. The first such
        layer of the forward pass is named.

    Example:
        bad: 97 % of the values of the first tanh at -1 or 1, and a metric that stands still
        good: 20 % there, or 90 % in a model that tells all samples apart

    Source:
        Glorot and Bengio 2010, Understanding the Difficulty of Training Deep Feedforward Neural
        Networks; Rakitianskaia and Engelbrecht 2015, Measuring Saturation in Neural Networks.
    """

    code = "P702"
    name = "saturated-units"
    signals = ("unit.saturated", "unit.saturated_units")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [
            (info, share)
            for info in trace.activations.values()
            if (share := _saturated(trace, info.where)) is not None
        ]
        harm = bool(found) and _harm.suffers(trace, metric)
        for place, (info, share) in enumerate(found):
            severity = 0.3
            if harm and not place:
                severity = 0.6 + 0.4 * (share - _SATURATED) / (1 - _SATURATED)
            yield self._symptom(trace, info, share, severity)

    def _symptom(
        self, trace: Trace, info: ActivationInfo, share: float, severity: float
    ) -> Symptom:
        series = trace.signal("train", info.where, "unit.saturated")
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=info.where,
            source=info.source,
            step=_series.first_step(series, _SATURATED),
            evidence={"saturated": share},
            message=f"{share:.0%} of what {info.operation} gives at {info.where} is at its bounds",
        )


def _saturated(trace: Trace, where: str) -> float | None:
    """The share of values at a bound, where nearly all are and stay so."""
    series = trace.signal("train", where, "unit.saturated")
    late = _series.window(series, trace.steps, 0.5, 1.0)
    share = _series.middle(late)
    if len(late) < _FEWEST_POINTS or share is None or share < _SATURATED:
        return None
    persists = sum(value >= _SATURATED for value in late) >= _PERSISTS * len(late)
    return share if persists else None
