"""P303: steps so long that training gets nowhere, or loses what it had reached."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _optimizers, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_LEAP = 0.3
_OVERSHOOT = 2.0
_BLOWN_UP = 5.0
_LOST_AGAIN = 2.0
_LONG = 0.01
_LEARNED = 0.1


class UnstableLoss(Probe):
    """Steps so long that training gets nowhere, or loses what it had reached.

    What it detects:
        A loss that leaps over its first value, bounces or falls back, because the steps are out of
        proportion to the weights.

    Why it harms:
        What a batch teaches is undone by the length of the step that it takes. Often the units are
        driven into saturation in the first few steps, and nothing can be learned from then on.

    Rule:
        One of these signs: the first step, with what its momentum adds to it, changes the weight
        matrices by 30 % of their length or more, in the median (0.1 % is usual); it changes them
        by 1 % or more and three probed losses are at twice the first one, and twice the median of
        the run, or higher; or the loss of the last quarter is twice the lowest level that it had
        and half of the first one or more, and in some eighth of the run steps changed the weights
        by 1 % of their length. And harm: the metric, or the training loss where no best value of
        the metric is known, got nowhere; or the metric lost a quarter of its way again. Where the
        loss rose to five times the first and the first step was too long as well, it is enough
        that more than a fifth is left to gain. A run that does well with such steps is none of
        ours: mini-batch noise, warm restarts and cyclic rates bounce, too. Nor is one whose
        training loss ends at a tenth of its first value or less: what ails its metric is something
        else. What P302 or P307 sees is left to them. Severity rises from 0.5 with the length of the
        first step and the height of the loss.

    Example:
        bad: Adam with a learning rate of 0.5 for a perceptron whose weights are near 0.1
        good: Adam with 0.003

    Source:
        Karpathy 2019, A Recipe for Training Neural Networks (ratio of update to weight); Lewkowycz
        et al. 2020, The large learning rate phase of deep learning: the catapult mechanism, on
        losses that rise first and recover; Cohen et al. 2021, Gradient Descent at the Edge of
        Stability.
    """

    code = "P303"
    name = "unstable-loss"
    signals = ("loss.value", "update.norm", "weight.norm", "optimizer.lr", "optimizer.momentum")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        places = _optimizers.groups(trace)
        course = _optimizers.losses(trace)
        late = _series.window(course, trace.steps, 0.75, 1.0)
        first = _optimizers.first_loss(trace)
        if not places or len(course) < 8 or len(late) < 3 or first <= 0:
            return
        where = max(places, key=lambda place: _optimizers.leap(trace, place))
        leap, overshoot = _optimizers.leap(trace, where), _optimizers.overshoot(trace)
        lost = _lost_again(trace, where)
        rose = overshoot >= _OVERSHOOT and leap >= _LONG
        if not (leap >= _LEAP or rose or lost >= _LOST_AGAIN):
            return
        if (_series.middle(late) or 0.0) >= _OVERSHOOT * max(_optimizers.first_losses(trace)):
            return  # P302
        if _optimizers.odd_settings(trace, where):
            return  # P307
        if (_series.middle(late) or 0.0) <= _LEARNED * first:
            return
        if not _is_harmed(trace, metric, leap, overshoot):
            return
        severity = ALARM + 0.25 * min(1.0, leap) + 0.25 * min(1.0, overshoot / _BLOWN_UP)
        peak = max(course.values)
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=where,
            source=_optimizers.source(trace, where),
            step=course.steps[course.values.index(peak)],
            evidence={
                "leap": leap,
                "overshoot": overshoot,
                "lost_again": lost,
                "first_loss": first,
                "late_loss": _series.middle(late) or 0.0,
                "learning_rate": _optimizers.setting(trace, where, "lr") or 0.0,
            },
            message=(
                f"the first step changed the weights by {leap:.2g} of their length, where 0.001 "
                f"is usual; the training loss began at {first:.3g}, rose to {peak:.3g} "
                f"and is {_series.middle(late):.3g} at the end"
            ),
        )


def _is_harmed(trace: Trace, metric: Objective | None, leap: float, overshoot: float) -> bool:
    if _harm.got_nowhere(trace, metric) or _progress.fell_back(trace, metric):
        return True
    found = _progress.way(trace, metric)
    blown_up = overshoot >= _BLOWN_UP and leap >= _LEAP
    return found is not None and blown_up and found[1] > 0.2


def _lost_again(trace: Trace, where: str) -> float:
    """The loss at the end over its lowest level; 1 where it is low, or the steps are short."""
    course = _optimizers.losses(trace)
    eighths = [_series.window(course, trace.steps, n / 8, (n + 1) / 8) for n in range(8)]
    levels = [level for values in eighths if (level := _series.middle(values))]
    late = _series.middle(_series.window(course, trace.steps, 0.75, 1.0)) or 0.0
    longest = [
        max(
            _series.middle(_series.window(ratios, trace.steps, n / 8, (n + 1) / 8)) or 0.0
            for n in range(8)
        )
        for ratios in _optimizers.ratios(trace, where).values()
    ]
    short = (_series.middle(longest) or 0.0) < _LONG
    if not levels or late < 0.5 * _optimizers.first_loss(trace) or short:
        return 1.0
    return late / min(levels)
