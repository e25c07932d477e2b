"""P603: the gradient grows by orders of magnitude on its way back."""

from __future__ import annotations

import math
from collections.abc import Iterable

from probes import _gradients, _harm, _knowledge, _progress
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_DECADES = 2.5
_WORST = 7.0
_AT_FIRST = 1.5


class ExplodingGradients(Probe):
    """The gradient grows by orders of magnitude on its way back.

    What it detects:
        Deep stacks in which the gradient of the loss grows by orders of magnitude on its way from
        the last layer to the first (weights that began too large, residual blocks that are added
        up without a norm), and recurrent layers in which it grows so over time.

    Why it harms:
        One direction of the first layers decides about the loss. A step that is right for the last
        layer throws the first one far away, and the loss jumps or overflows; a learning rate that
        the first one survives is too small for all others.

    Rule:
        Over the run, in the median, the norm of the gradient with respect to the output of the
        first layer is more than 300 times that of the last, over at least four layers and not in
        one single step; or that with respect to the first state of a recurrent layer more than 300
        times that of the last. That alone is an observation (severity 0.3): optimizers that scale
        every parameter by itself may live with it. It is an alarm where the run suffers:
        predictions of what it is trained on are no better than a constant, or the metric stands
        still with more than a fifth of the way left, or the loss overflows. Severity then rises
        from 0.6 to 1 at seven orders of magnitude.

    Example:
        bad: the gradient doubles with each of 24 residual blocks
        good: it is about the same everywhere

    Source:
        Pascanu et al. 2013, On the Difficulty of Training Recurrent Neural Networks; Zhang et al.
        2019, Fixup Initialization: Residual Learning Without Normalization.
    """

    code = "P603"
    name = "exploding-gradients"
    signals = ("gradient.call1", "gradient.call8", "gradient.time", "gradient.length")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [
            course
            for course in _gradients.courses(trace)
            if course.decades >= _DECADES and course.gradual
        ]
        harm = bool(found) and (_overflows(trace) or _harm.suffers(trace, metric))
        if not harm and _never_got_over_it(trace, metric):
            early = [c for c in _gradients.courses(trace, at_first=True) if c.gradual]
            early = [course for course in early if course.decades >= _AT_FIRST]
            found, harm = early or found, bool(early)
        for course in sorted(found, key=lambda each: -each.decades):
            grown = min(max(course.decades, _DECADES), _WORST)
            severity = 0.6 + 0.4 * (grown - _DECADES) / (_WORST - _DECADES) if harm else 0.3
            info = trace.modules.get(course.where)
            way = "steps in time" if course.over_time else "layers"
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=severity,
                where=course.where,
                source=info.source if info else None,
                evidence={
                    "decades": course.decades,
                    "length": course.layers,
                    "first": course.first,
                    "last": course.last,
                },
                message=(
                    f"over {course.layers} {way} the gradient grows to 1e{course.decades:.1f} "
                    f"times of what it is at the end, at {course.where}"
                ),
            )


def _never_got_over_it(trace: Trace, metric: Objective | None) -> bool:
    """Whether predictions begin far off, and never become better than a constant."""
    return (
        _knowledge.begins_far_off(trace)
        and _knowledge.knows_nothing(trace)
        and _progress.leaves(trace, metric, _progress.FAR)
    )


def _overflows(trace: Trace) -> bool:
    losses = trace.signal("train", "loss", "loss.value").values
    return bool(losses) and not math.isfinite(losses[-1])
