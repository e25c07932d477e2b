"""P205: loss terms of very different scale, from the first epoch on."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _series
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import Symptom
from probes.trace import Trace

_HUNDREDFOLD = 100.0
_EARLY = 0.2


class LossScaleMismatch(Probe):
    """Loss terms of very different scale, from the first epoch on.

    What it detects:
        Two terms of a loss whose weighted values, or whose gradients on the parameters that they
        share, are a hundred times apart or more, early in the run.

    Why it harms:
        Training follows the larger one for as long as this lasts. It is meant as an early warning
        that a weight was never chosen; many healthy losses have a small penalty in them.

    Rule:
        In the median over the first fifth of the run, the largest and the smallest term are 100 or
        more apart in their gradient norms, or in the absolute values of what they contribute to
        the loss. Always an observation (severity 0.3): whether it does harm is for others to say
        (P201, P204). The step is the first from which on the gradients stay so far apart.

    Example:
        bad: ``0.5 * mse + 0.5 * info_nce`` with mse near 0.002 and info_nce near 1.4
        good: weights that make the contributions comparable, or a small weight that is meant so

    Source:
        Chen et al. 2018, GradNorm; the investigation of a contrastive dominance (contributions of
        0.001 and 0.697 in the first epoch).
    """

    code = "P205"
    name = "loss-scale-mismatch"
    signals = ("term.grad", "term.contribution", "term.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        gradients = self._early(trace, "term.grad")
        if len(gradients) < 2:
            return
        large = max(gradients, key=lambda where: gradients[where])
        small = min(gradients, key=lambda where: gradients[where])
        evidence = {"gradient_ratio": gradients[large] / gradients[small]}
        for name in ("contribution", "value"):
            values = self._early(trace, f"term.{name}")
            if large in values and small in values:
                evidence[f"{name}_ratio"] = values[large] / values[small]
        if max(evidence["gradient_ratio"], evidence.get("contribution_ratio", 0)) < _HUNDREDFOLD:
            return
        told = ", ".join(f"{key.split('_')[0]} {value:.3g}" for key, value in evidence.items())
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=0.3,
            where=large,
            source=trace.terms[large].source if large in trace.terms else None,
            step=self._onset(trace, large, small),
            evidence=evidence,
            message=f"{large} is larger than {small} from the first epoch on, by factors: {told}",
        )

    def _early(self, trace: Trace, name: str) -> dict[str, float]:
        """The sizes of all terms in the first fifth of the run that are not zero."""
        found = {}
        for where in trace.places(name):
            series = trace.signal("train", where, name)
            sizes = Series(series.steps, [abs(value) for value in series.values])
            middle = _series.middle(_series.window(sizes, trace.steps, 0.0, _EARLY))
            if middle:
                found[where] = middle
        return found

    def _onset(self, trace: Trace, large: str, small: str) -> int:
        one, other = (trace.signal("train", where, "term.grad") for where in (large, small))
        smaller = dict(other.finite)
        apart = Series()
        for step, value in one.finite:
            if smaller.get(step):
                apart.append(step, value / smaller[step])
        return _series.first_step(apart, _HUNDREDFOLD)
