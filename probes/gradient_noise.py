"""P310: steps that are long on gradients that are mostly noise."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable

from probes import _optimizers, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_NOISE = 0.25
"""Cosine of two batches' gradients up to which there is three times as much noise as signal."""
_OPPOSED = -0.3
"""Cosine below which steps go back and forth by themselves."""
_COSTLY = 0.15
_FIRST = 8
_FEWEST = 3


class GradientNoise(Probe):
    """Steps that are long on gradients that are mostly noise.

    What it detects:
        A learning rate that would do for batches of a usual size, with batches of one or two; or
        noise that a script adds to its gradients: the weights never settle, and training bounces
        far above what the same steps could reach on average.

    Why it harms:
        A step follows one batch, not the data. Near a minimum the noise of the steps shakes the
        weights about as fast as the gradient pulls them back, and the loss stays where the two
        are in balance, for as long as the run goes on.

    Rule:
        The gradients of two batches have a cosine below 0.25 in the second half of the run, so that
        their noise is three times their signal (the noise scale of the gradient is three batches or
        more), and not below -0.3, where steps go back and forth by themselves. What a step promises
        is the scalar product of gradient and update, over one minus the momentum: by how much the
        loss of its own batch would fall if it went on as it begins. In balance, a quarter of that
        is what the noise adds to the loss, for any quadratic loss and any preconditioner; at four
        times the loss not even its own batch is better off. It is an alarm where this is 15 % or
        more of the loss, the first or the present one, whichever is higher, in the last two thirds
        of the run without their longest step, and in the last quarter; and the metric did not go
        half of its way. Mini-batches are noisy in all runs: in those that do well the noise costs
        next to nothing of the loss they began with. Severity rises from 0.5 to 0.9 where it costs
        as much as that.

    Example:
        bad: SGD with a learning rate of 0.05 for batches of one
        good: the same for batches of 32, or a rate that falls to zero

    Source:
        McCandlish et al. 2018, An Empirical Model of Large-Batch Training (noise scale); Mandt et
        al. 2017, Stochastic Gradient Descent as Approximate Bayesian Inference (the balance); Yaida
        2018, Fluctuation-dissipation relations for stochastic gradient descent; Widrow et al. 1976,
        Stationary and nonstationary learning characteristics of the LMS adaptive filter
        (misadjustment).
    """

    code = "P310"
    name = "gradient-noise"
    signals = ("loss.promised", "loss.value", "optimizer.steadiness", "optimizer.momentum")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        places = _optimizers.groups(trace)
        course = _optimizers.losses(trace)
        late = _series.window(course, trace.steps, 0.5, 1.0)
        cosine = _cosine(trace, places)
        if len(course) < _FIRST or len(late) < _FEWEST or cosine is None:
            return
        if not _OPPOSED < cosine < _NOISE:
            return
        first, now = statistics.mean(course.values[:_FIRST]), statistics.mean(late)
        promised = min(_promised(trace, 1 / 3, but=1), _promised(trace, 0.75))
        highest = max(first, now) * _backwards(trace)
        if highest <= 0 or promised / 4 < _COSTLY * highest:
            return
        if _progress.went_half_way(trace, metric):
            return
        where = places[0]
        cost = promised / 4 / highest
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.4 * min(1.0, cost),
            where=where,
            source=_optimizers.source(trace, where),
            evidence={
                "cost": cost,
                "promised": promised,
                "first_loss": first,
                "late_loss": now,
                "cosine": cosine,
                "learning_rate": _optimizers.setting(trace, where, "lr") or 0.0,
            },
            message=(
                f"two batches agree on next to nothing (the cosine of their gradients is "
                f"{cosine:.2f}), and each step goes so far after its own that by its gradient the "
                f"loss would fall by {promised:.2g}, where it is {now:.2g}: the noise of the steps "
                "holds it up; make them shorter, at least towards the end, or the batches larger"
            ),
        )


def _cosine(trace: Trace, places: list[str]) -> float | None:
    """That of the group whose gradients agree most."""
    known = (_optimizers.steadiness(trace, place) for place in places)
    return max((cosine for cosine in known if cosine is not None), default=None)


def _promised(trace: Trace, start: float, but: int = 0) -> float:
    """What the steps from a share of a run on promise, on average but for so many of the longest.

    With momentum a gradient goes into many steps: all of them are counted in. 0 where too few
    steps are known.
    """
    sums: dict[int, float] = defaultdict(float)
    for step, value in trace.signal("train", "loss", "loss.promised").finite:
        sums[step] += value  # of several optimizers
    momentum = [_optimizers.setting(trace, g, "momentum") or 0.0 for g in _optimizers.groups(trace)]
    kept = 1 - max(momentum, default=0.0)
    values = _series.window(Series(sums, sums.values()), trace.steps, start, 1.0)
    if len(values) < _FEWEST or kept <= 0:
        return 0.0
    return statistics.mean(sorted(values)[: len(values) - but]) / kept


def _backwards(trace: Trace) -> float:
    """Backward passes of a step, each of which has a part of the loss."""
    counts = [
        _series.middle(trace.signal("train", place, "cycle.backwards").finite.values) or 1.0
        for place in trace.places("cycle.backwards")
    ]
    return max(counts, default=1.0)
