"""P801: gradients that a step has used are never cleared."""

from __future__ import annotations

from collections.abc import Iterable

from probes._cycles import persisting
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_MOST_OF_THEM = 0.5


class AccumulatedGradients(Probe):
    """Gradients that a step has used are never cleared, and are used again by all later ones.

    What it detects:
        An optimizer whose parameters still have the gradient of the step before when the next
        backward pass adds to it: no ``zero_grad``, one that is called on something else, or only
        once an epoch. It does not matter how gradients are cleared.

    Why it harms:
        Each step follows the sum of all gradients so far, most of them of weights long gone. It
        works like momentum without friction: the steps grow, overshoot and swing.

    Rule:
        Of the tensors that a backward pass gives a gradient, half or more have one at the start of
        every backward pass since the last step, unchanged since then: in 80 % of the probed steps
        (five or more, the first one aside), one of the last two included. Accumulation over
        several batches has one clean start for each step. It is wrong
        whatever the metric does, so that the metric is not asked. The severity is the share of
        such steps.

    Example:
        bad: ``loss.backward(); optimizer.step()``
        good: ``optimizer.zero_grad(); loss.backward(); optimizer.step()``

    Source:
        The documentation of ``torch.Tensor.backward``: "this function accumulates gradients in the
        leaves"; Tambon et al. 2023, Silent bugs in deep learning frameworks.
    """

    code = "P801"
    name = "accumulated-gradients"
    signals = ("cycle.carried",)

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("cycle.carried"):
            series = persisting(trace, where, "cycle.carried", _MOST_OF_THEM)
            if series is None:
                continue
            info = trace.loops.get(where)
            share = sum(value >= _MOST_OF_THEM for value in series.values) / len(series)
            at = f" at {info.stepped}" if info and info.stepped else ""
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=share,
                where=where,
                source=info.backward if info else None,
                step=series.steps[0],
                evidence={"steps": float(len(series)), "carried": share},
                message=(
                    f"in {share:.0%} of the steps that were looked at, the backward pass adds to "
                    f"gradients that {where}.step(){at} has used already: they are not cleared"
                ),
            )
