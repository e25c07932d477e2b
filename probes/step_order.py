"""P806: the gradients are gone when the optimizer makes its step."""

from __future__ import annotations

from collections.abc import Iterable

from probes._cycles import persisting
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_NEARLY_ALL = 0.9


class StepOrder(Probe):
    """The gradients are gone when the optimizer makes its step.

    What it detects:
        A loop in which what the backward pass computed is cleared before the optimizer uses it:
        ``zero_grad`` between ``backward`` and ``step``, or ``step`` before ``backward`` with
        ``zero_grad`` in between. A ``step`` before ``backward`` that still finds the gradients of
        the round before does no harm: the weights are the same.

    Why it harms:
        Every step is made without a gradient. The parameters stay where they are, but for what
        weight decay does to them.

    Rule:
        Of the tensors that got a gradient since the last step, 90 % or more have none, or zeros,
        when the step is made: in 80 % of the probed steps (five or more, the first one aside), one
        of the last two included. It is wrong whatever the metric does, so that the metric is not
        asked.

    Example:
        bad: ``loss.backward(); optimizer.zero_grad(); optimizer.step()``
        good: ``optimizer.zero_grad(); loss.backward(); optimizer.step()``

    Source:
        Humbatova et al. 2020, Taxonomy of Real Faults in Deep Learning Systems: wrong order of
        the calls of the training loop.
    """

    code = "P806"
    name = "step-order"
    signals = ("cycle.cleared",)

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("cycle.cleared"):
            series = persisting(trace, where, "cycle.cleared", _NEARLY_ALL)
            if series is None:
                continue
            info = trace.loops.get(where)
            backward = f" at {info.backward}" if info and info.backward else ""
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=1.0,
                where=where,
                source=info.stepped if info else None,
                step=series.steps[0],
                evidence={"steps": float(len(series)), "cleared": series.values[-1]},
                message=(
                    f"the gradients of the backward pass{backward} are cleared before "
                    f"{where}.step() uses them: it moves nothing"
                ),
            )
