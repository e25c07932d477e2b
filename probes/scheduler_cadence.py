"""P807: a schedule that takes the learning rate to nothing too early, or never lets it rise."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _progress
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_NOTHING = 0.01
_MOST_OF_IT = 0.7
_STILL = 0.1
_NEAR = 0.1
"""Share of the rate that is meant to be reached, from which on a run is near it: the rates that a
model can be trained with span about one order of magnitude."""
_FEWEST_POINTS = 4


class SchedulerCadence(Probe):
    """A schedule that takes the learning rate to nothing too early, or never lets it rise.

    What it detects:
        A schedule that is moved on after every batch where its numbers are meant for epochs, or
        that decays much faster than the run lasts. And the converse: a warm-up that is moved on
        after every epoch where its numbers are meant for batches, or not at all, or that is many
        times as long as the run.

    Why it harms:
        After the first few steps the optimizer moves nothing any more. What was not learned by
        then is never learned. In the converse the optimizer never makes steps of the length that
        the script asks for, and the run ends before it has properly begun.

    Rule:
        For 70 % of an optimizer's life or more, up to the end of the run, the highest learning rate
        is below 1 % of what it once was, and the parameters were still at the beginning: the metric
        has more than a fifth of its range left to gain, and since the fall it went less than a
        tenth of the way that was left. Severity rises from 0.5 with the share of the run.

        Or the highest rate of the whole run is below a tenth of the one that the schedule means to
        reach (the rate that the optimizer was made with, the top of a cycle, or the peak of a
        function that multiplies the rate), and it is still rising at the end, or the schedule was
        never moved. The metric has more than a fifth of its range left; where its best value is not
        known, it must have got nowhere, or still improve at the end. A run that was stopped before
        its own end tells nothing about its warm-up. Severity is 0.5, and half of the share of the
        rate that lacks.

        Without the harm either is an observation (severity 0.3).

    Example:
        bad: ``ExponentialLR(optimizer, 0.9)`` with ``scheduler.step()`` in the loop over batches
        good: ``scheduler.step()`` once at the end of each epoch
        bad: ``LinearLR(optimizer, 0.001, total_iters=500)`` with ``scheduler.step()`` once at the
        end of each of ten epochs
        good: ``scheduler.step()`` after each ``optimizer.step()``

    Source:
        The documentation of ``torch.optim``, How to adjust learning rate; Smith 2017, Cyclical
        Learning Rates, on how wide the usable range is.
    """

    code = "P807"
    name = "scheduler-cadence"
    signals = ("rate.value", "rate.aim", "schedule.position", "schedule.length")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("rate.value"):
            rates = trace.signal("train", where, "rate.value").finite
            found = self._fallen(trace, metric, where, rates)
            found = found or self._stalled(trace, metric, where, rates)
            if found is not None:
                yield found

    def _fallen(
        self, trace: Trace, metric: Objective | None, where: str, rates: Series
    ) -> Symptom | None:
        fall = _fall(rates, trace.steps)
        if fall is None:
            return None
        share = (trace.steps - fall) / (trace.steps - rates.steps[0])
        harmed = _progress.leaves(trace, metric, _progress.FAR) and _stays(trace, metric, fall)
        peak = max(rates.values)
        line, _ = _moved(trace, where)
        info = trace.loops.get(where)
        return Symptom(
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

    def _stalled(
        self, trace: Trace, metric: Objective | None, where: str, rates: Series
    ) -> Symptom | None:
        line, positions = _moved(trace, where)
        aim = max(trace.signal("train", where, "rate.aim").finite.values, default=0.0)
        cut = trace.ending is not None and trace.ending.status != "completed"
        if cut or not (_rises(rates) or line is None) or not _is_far_below(rates, aim):
            return None
        moves, began, at = max(positions.values, default=0.0), rates.steps[0], rates.steps[-1]
        told = f"nothing moved its schedule in {trace.steps} steps"
        if line:
            told = f"{line} had moved its schedule {moves:.0f} times by step {at} of {trace.steps}"
        top = max(rates.values)
        info = trace.loops.get(where)
        return Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.5 * (1 - top / aim) if _falls_short(trace, metric) else 0.3,
            where=where,
            source=line or (info.source if info else None),
            step=began,
            evidence={"aim": aim, "rate": top, "moves": moves, "pace": moves / max(1, at - began)},
            message=(
                f"the learning rate of {where} never came near its {aim:.3g}: {told}, and it was "
                f"{top:.3g} at most"
            ),
        )


def _moved(trace: Trace, where: str) -> tuple[str | None, Series]:
    """The line that moves the schedule of an optimizer, and how often it had by each step."""
    places = [p for p in trace.places("schedule.position") if p.startswith(f"{where}@")]
    if not places:
        return None, Series()
    positions = trace.signal("train", places[0], "schedule.position").finite
    return places[0].rpartition("@")[2], positions


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


def _is_far_below(rates: Series, aim: float) -> bool:
    return len(rates) >= _FEWEST_POINTS and max(rates.values) < _NEAR * aim


def _rises(rates: Series) -> bool:
    """Whether a rate is at its highest at the end, and was lower half way."""
    values = rates.values
    if not values or values[-1] < max(values):
        return False
    half = (rates.steps[0] + rates.steps[-1]) / 2
    return all(value < values[-1] for step, value in rates if step <= half)


def _falls_short(trace: Trace, metric: Objective | None) -> bool:
    """Whether the metric ends where a larger rate might have taken it further."""
    if metric is None or not _progress.leaves(trace, metric, _progress.FAR):
        return False
    if metric.bounded:
        return True
    return _harm.got_nowhere(trace, metric) or _harm.still_improves(trace, metric)
