"""P901: inputs far from unit scale, or features of very different scales, and little is learned."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_LARGE = 10.0
_SMALL = 0.02
_UNEVEN = 50.0


class InputScale(Probe):
    """Inputs far from unit scale, or features of very different scales, and little is learned.

    What it detects:
        Raw pixels, timestamps, prices beside ratios: data that the first layer takes in as it is.

    Why it harms:
        Initialisations and learning rates are made for inputs of about unit scale. Large inputs
        saturate the first layer and make its gradient as much larger; among features of different
        scales the largest drowns the others, and no learning rate suits all.

    Rule:
        What the first layer with weights takes in (after all scaling, and not where that layer is
        a norm or an embedding) has, in the median over the second half of the run, a feature with a
        root mean square above 10, all of it below 0.02, or features whose standard deviations
        differ by a factor of 50 or more. That alone is an observation (0.3). It is an alarm where
        a bounded metric ends more than a fifth away from its best value and no longer moves, or,
        where there is none, where half of what there is to know is not known (see
        `target.unexplained`). Severity 0.7.

    Example:
        bad: ``model(pixels.float())``
        good: ``model((pixels.float() - mean) / std)``

    Source:
        LeCun et al. 1998, Efficient BackProp, section 4.3; Humbatova et al. 2020, Taxonomy of Real
        Faults in Deep Learning Systems (missing preprocessing).
    """

    code = "P901"
    name = "input-scale"
    signals = ("input.rms", "input.largest", "input.spread", "target.unexplained")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("input.rms"):
            found = {
                name: _series.second_half(
                    trace.signal("train", where, f"input.{name}"), trace.steps
                )
                for name in ("rms", "largest", "spread")
            }
            evidence = {name: value for name, value in found.items() if value is not None}
            reason = _reason(evidence) if len(evidence) == len(found) else None
            if reason is None:
                continue
            harms = _harm.learns_little(trace, metric)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.7 if harms else 0.3,
                where=where,
                source=trace.modules[where].source if where in trace.modules else None,
                step=trace.signal("train", where, "input.rms").steps[0],
                evidence=evidence,
                message=f"the inputs of {where} are not scaled: {reason}",
            )


def _reason(evidence: dict[str, float]) -> str | None:
    if evidence["largest"] > _LARGE:
        return f"a feature has a root mean square of {evidence['largest']:.3g}"
    if evidence["spread"] > _UNEVEN:
        return f"standard deviations of features differ by a factor of {evidence['spread']:.3g}"
    if 0 < evidence["rms"] < _SMALL:
        return f"their root mean square is {evidence['rms']:.2g}"
    return None
