"""P807: the learning rate has fallen to nearly nothing while the run has just begun."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _progress
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_NOTHING = 0.01
_MOST_OF_IT = 0.7
_STILL = 0.1


class SchedulerCadence(Probe):
    """The learning rate has fallen to nearly nothing while the run has just begun.

    What it detects:
        A schedule that is moved on after every batch where its numbers are meant for epochs, or
        that decays much faster than the run lasts.

    Why it harms:
        After the first few steps the optimizer moves nothing any more. What was not learned by
        then is never learned.

    Rule:
        For 70 % of an optimizer's life or more, up to the end of the run, the highest learning rate
        is below 1 % of what it once was, and the parameters were still at the beginning: the metric
        has more than a fifth of its range left to gain, and since the fall it went less than a
        tenth of the way that was left. Severity rises from 0.5 with the share of the run. Without
        the harm it is an observation (severity 0.3).

    Example:
        bad: ``ExponentialLR(optimizer, 0.9)`` with ``scheduler.step()`` in the loop over batches
        good: ``scheduler.step()`` once at the end of each epoch

    Source:
        The documentation of ``torch.optim``, How to adjust learning rate.
    """

    code = "P807"
    name = "scheduler-cadence"
    signals = ("rate.value", "schedule.position", "schedule.length")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("rate.value"):
            rates = trace.signal("train", where, "rate.value").finite
            fall = _fall(rates, trace.steps)
            if fall is None:
                continue
            share = (trace.steps - fall) / (trace.steps - rates.steps[0])
            harmed = _progress.leaves(trace, metric, _progress.FAR) and _stays(trace, metric, fall)
            peak = max(rates.values)
            moved = [p for p in trace.places("schedule.position") if p.startswith(f"{where}@")]
            line = moved[0].rpartition("@")[2] if moved else None
            info = trace.loops.get(where)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.5 * share if harmed else 0.3,
                where=where,
                source=line or (info.source if info else None),
                step=fall,
                evidence={"peak": peak, "rate": rates.values[-1], "share": share},
                message=(
                    f"the learning rate of {where} is below 1% of its {peak:.3g} from step {fall} "
                    f"of {trace.steps} on{f': {line} moves the schedule' if line else ''}"
                ),
            )


def _fall(rates: Series, steps: int) -> int | None:
    """The step from which on the rate is next to nothing; None where that is not most of it."""
    peak = max(rates.values, default=0.0)
    high = [step for step, value in rates if value >= _NOTHING * peak]
    if peak <= 0 or not high or high[-1] == rates.steps[-1]:
        return None
    fall = next(step for step in rates.steps if step > high[-1])
    began = rates.steps[0]  # Not 0 where one model is trained after another.
    return fall if fall - began <= (1.0 - _MOST_OF_IT) * (steps - began) else None


def _stays(trace: Trace, metric: Objective | None, fall: int) -> bool:
    """Whether the metric has hardly moved since a step."""
    if metric is None:
        return False
    curve = metric.series(trace).finite.since(fall).values
    if len(curve) < 3:
        return False
    headroom = metric.headroom(curve[0], metric.final(trace))
    return headroom is not None and headroom[0] < _STILL
