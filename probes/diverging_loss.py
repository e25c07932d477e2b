"""P302: the training loss ends far above the value that it began with."""

from __future__ import annotations

import math
from collections.abc import Iterable

from probes import _harm, _optimizers, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_RISEN = 2.0
_PERSISTS = 0.75
_FAR = 1.0


class DivergingLoss(Probe):
    """The training loss ends far above the value that it began with.

    What it detects:
        Steps so long that each one leaves the loss higher than it was, without any overflow: the
        loss of the untrained model is never seen again.

    Why it harms:
        The weights are farther from any solution than those that were drawn at random.

    Rule:
        In the last quarter of the run the median of the training loss is twice its first value (of
        losses of very few numbers, the highest of the first eight) or more, and three in four
        values are above it; the metric got nowhere, or is not known; and some weight matrix went a
        way of its own norm, or it is not the steps that raise the loss. Losses that go below zero,
        and steps with several losses (adversaries), are left out; odd settings of the momentum are
        left to P307. The severity rises from 0.5 at twice the first loss to 1 at a hundred times.

    Example:
        bad: SGD with a learning rate of 10: a cross-entropy of 1.4 at the start, 37 at the end
        good: a rate whose first steps change the weights by about a thousandth of their length

    Source:
        Goodfellow et al. 2016, Deep Learning, section 8.1.3 and 11.4.1 (the learning rate);
        Karpathy 2019, A Recipe for Training Neural Networks.
    """

    code = "P302"
    name = "diverging-loss"
    signals = ("loss.value", "update.norm", "weight.norm", "optimizer.lr")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        course = _optimizers.losses(trace)
        late = _series.window(course, trace.steps, 0.75, 1.0)
        first = max(_optimizers.first_losses(trace), default=0.0)
        if len(course) < 8 or len(late) < 3 or first <= 0:
            return
        level = _series.middle(late) or 0.0
        above = sum(value > first for value in late)
        if level < _RISEN * first or above < _PERSISTS * len(late):
            return
        places = _optimizers.groups(trace)
        if not places or not _harm.got_nowhere(trace, metric):
            return
        where = max(places, key=lambda place: _optimizers.leap(trace, place))
        if (_optimizers.longest_path(trace, where) or 0.0) < _FAR:
            return
        if _optimizers.odd_settings(trace, where):
            return  # P307
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.5 * min(1.0, math.log(level / first / _RISEN) / math.log(50)),
            where=where,
            source=_optimizers.source(trace, where),
            step=_series.first_step(course, _RISEN * first),
            evidence={
                "first_loss": first,
                "late_loss": level,
                "leap": _optimizers.leap(trace, where),
                "learning_rate": _optimizers.setting(trace, where, "lr") or 0.0,
            },
            message=(
                f"the training loss began at {first:.3g} and ends at {level:.3g}; the first step "
                f"changed the weights by {_optimizers.leap(trace, where):.2g} of their length, "
                f"where 0.001 is usual"
            ),
        )
