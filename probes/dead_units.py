"""P701: a layer whose rectified units are nearly all dead."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _series
from probes.base import Probe
from probes.facts import ActivationInfo
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_DEAD = 0.9
_PERSISTS = 0.8
_FEWEST_POINTS = 4
_FEWEST_UNITS = 3
_MOST_TOLD = 3


class DeadUnits(Probe):
    """A layer whose rectified units are nearly all dead.

    What it detects:
        Units (channels of a convolution) of a rectifier, as a module or as a call, that are zero
        for every sample over a long stretch, so many of them that the layer carries next to
        nothing.

    Why it harms:
        A unit that is never positive has no gradient: it does not come back by itself. What the
        other units let through is all that the layers behind can see, and all that those before
        can learn from. Causes: a learning rate that is too high (often a single step), biases that
        begin far below zero, inputs that are not standardised.

    Rule:
        A unit is dead when it was zero for at least 200 samples in a row. In the median over the
        second half of the run and in four of five of its points, nine tenths of a hidden layer's
        units are dead. Many healthy models have such layers (a wide layer with few directions to
        tell, the branch of a residual block that is not needed): that alone is an observation
        (severity 0.3). It is an alarm where the run suffers, too: its predictions on what it is
        trained on are no better than a constant (cross-entropy at least nine tenths of the
        entropy of the labels, less than a tenth of the variance explained), or its metric stands
        still with more than a fifth of the way left; and no residual stream goes on beside it.
        Severity then rises from 0.6 to 1 with the share. The first such layer of the forward pass
        is named: those behind it follow.

    Example:
        bad: 100 % of the units of the second layer dead, and chance accuracy
        good: 40 % dead, or all of a branch beside which the residual goes on

    Source:
        Maas et al. 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models; Lu et
        al. 2019, Dying ReLU and Initialization: Theory and Numerical Examples.
    """

    code = "P701"
    name = "dead-units"
    signals = ("unit.dead", "unit.count", "unit.active", "branch.ratio")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [
            (info, share)
            for info in trace.activations.values()
            if (share := _dead_share(trace, info.where)) is not None
        ]
        if not found:
            return
        found.sort(key=lambda each: (_onset(trace, each[0].where), _order(trace, each[0].where)))
        harm = _harm.suffers(trace, metric)
        for place, (info, share) in enumerate(found[:_MOST_TOLD]):
            # Only the first can be the cause: where nothing comes in, nothing goes out.
            severity = 0.3
            if harm and not place and not _bypassed(trace, info.where):
                severity = 0.6 + 0.4 * (share - _DEAD) / (1 - _DEAD)
            yield self._symptom(trace, info, share, severity)

    def _symptom(
        self, trace: Trace, info: ActivationInfo, share: float, severity: float
    ) -> Symptom:
        count = trace.signal("train", info.where, "unit.count").values[-1]
        onset = _onset(trace, info.where)
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=info.where,
            source=info.source,
            step=onset,
            evidence={"dead_share": share, "units": count, "onset": onset},
            message=(
                f"{share:.0%} of the {count:.0f} units of {info.where} ({info.operation}) are zero "
                f"for every sample, from step {onset} of {trace.steps} on"
            ),
        )


def _dead_share(trace: Trace, where: str) -> float | None:
    """The share of dead units, where nearly all are and stay so."""
    series = trace.signal("train", where, "unit.dead")
    counts = trace.signal("train", where, "unit.count").finite.values
    late = _series.window(series, trace.steps, 0.5, 1.0)
    if len(late) < _FEWEST_POINTS or not counts or counts[-1] < _FEWEST_UNITS:
        return None
    share = _series.middle(late)
    persists = sum(value >= _DEAD for value in late) >= _PERSISTS * len(late)
    return share if share is not None and share >= _DEAD and persists else None


def _bypassed(trace: Trace, where: str) -> bool:
    """Whether the layer is in a branch that only adds to a stream, which goes on beside it."""
    parts = where.split(".")
    paths = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return any(len(trace.signal("train", path, "branch.ratio")) for path in paths)


def _onset(trace: Trace, where: str) -> int:
    return _series.first_step(trace.signal("train", where, "unit.dead"), _DEAD)


def _order(trace: Trace, where: str) -> int:
    return list(trace.activations).index(where)
