"""P602: next to nothing of the gradient reaches the first layers, or the first steps in time."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _gradients, _harm
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_DECADES = 3.0
_WORST = 8.0


class VanishingGradients(Probe):
    """Next to nothing of the gradient reaches the first layers, or the first steps in time.

    What it detects:
        Deep stacks in which the gradient of the loss shrinks by orders of magnitude on its way
        from the last layer to the first (sigmoids and tanh, weights that began too small, no
        residual connections), and recurrent layers in which it shrinks so over time.

    Why it harms:
        The first layers stay what they were drawn as, and what the others are given is a random
        function of the input, which depth has made nearly constant. With time, what happened at
        the beginning of a sequence is never heard of.

    Rule:
        Over the run, in the median, the norm of the gradient with respect to the output of the
        first layer is less than a thousandth of that of the last, over at least four layers and
        not in one single step (that is a detached part, or dead units); or that with respect to
        the first state of a recurrent layer less than a thousandth of that of the last. A model
        may learn well all the same: that alone is an observation (severity 0.3). It is an alarm
        where the run suffers: predictions of what it is trained on are no better than a constant,
        or the metric stands still with more than a fifth of the way left. Severity then rises
        from 0.6 to 1 at eight orders of magnitude.

    Example:
        bad: 1e-9 of the gradient reaches the first of ten sigmoid layers, and chance accuracy
        good: 0.1 of it does, or a recurrent model that finds all that it needs nearby

    Source:
        Bengio et al. 1994, Learning Long-Term Dependencies with Gradient Descent is Difficult;
        Glorot and Bengio 2010, Understanding the Difficulty of Training Deep Feedforward Neural
        Networks.
    """

    code = "P602"
    name = "vanishing-gradients"
    signals = ("gradient.call1", "gradient.call8", "gradient.time", "gradient.length")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [
            course
            for course in _gradients.courses(trace)
            if course.decades <= -_DECADES and course.gradual
        ]
        harm = bool(found) and _harm.suffers(trace, metric)
        for course in sorted(found, key=lambda each: each.decades):
            fallen = min(-course.decades, _WORST)
            severity = 0.6 + 0.4 * (fallen - _DECADES) / (_WORST - _DECADES) if harm else 0.3
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
                    f"over {course.layers} {way} the gradient shrinks to 1e{course.decades:.0f} of "
                    f"what it is at the end, at {course.where}"
                ),
            )
