"""P204: the loss falls and falls, and the metric does not move."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _progress, _series, _words
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_MOVES = 0.1
_FOLLOWED = 0.8
_LOSSES = {"loss", "nll", "ce", "bce", "objective", "cost"}


class ObjectiveMetricDecoupling(Probe):
    """The loss falls and falls, and the metric does not move.

    What it detects:
        A loss that goes on falling after the metric was first reported, while the metric stands
        still far from its best. With several loss terms, the one that the loss followed is named.

    Why it harms:
        What is minimised is not what is wanted: more of the same training changes nothing.

    Rule:
        All of five or more reports of the metric lie within a tenth of the way from the first one
        to the best value, with more than a fifth of the range still to go, and from the first
        report to the end the loss falls by a tenth. That alone is an observation (severity 0.3):
        a model that learns its training data by heart does that, too. It is an alarm when a
        held-out loss, reported beside the metric, falls by a tenth as well (so it is not learned
        by heart), one of several terms makes up 80 % of the fall, and another one never went down
        by a tenth since the run began. Severity rises from 0.5 with the fall of the held-out loss.
        Metrics whose best value is not known are left out: a loss may be at its floor.

    Example:
        bad: ``loss = reconstruction.sum() + class_loss``, with ``val_acc`` at chance throughout
        good: a loss in which the term that the metric is about counts

    Source:
        The investigation of a contrastive dominance (total loss down by a third, cosine similarity
        0.25 to 0.27 from the first epoch to the last).
    """

    code = "P204"
    name = "objective-metric-decoupling"
    signals = ("loss.value", "term.value", "term.contribution")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        if metric is None or not _progress.stands_still(trace, metric, _MOVES):
            return
        start = _progress.first_report(trace, metric)
        fall = _fall(trace.signal("train", "loss", "loss.value"), trace, start)
        if fall < _MOVES:
            return
        followed, share = self._followed(trace, start)
        held_out = self._held_out_fall(trace, metric)
        untouched = self._untouched(trace, followed)
        curve = metric.series(trace)
        evidence = {"loss_fall": fall, "metric_start": curve.values[0]}
        evidence |= {"metric_end": metric.final(trace), "followed_share": share}
        message = f"the loss fell by {fall:.0%} while {metric.name} stayed at {curve.values[0]:.3g}"
        severity = 0.3
        if followed != "loss":
            message += f"; {share:.0%} of the fall is that of {followed}"
        if held_out is not None:
            evidence["held_out_fall"] = held_out
        if held_out is not None and held_out >= _MOVES and share >= _FOLLOWED and untouched:
            severity = ALARM + 0.5 * min(1.0, held_out)
            message += f", and {untouched} is where it began"
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=followed,
            source=trace.terms[followed].source if followed in trace.terms else None,
            step=curve.steps[0],
            evidence=evidence,
            message=message,
        )

    def _followed(self, trace: Trace, start: float) -> tuple[str, float]:
        """The term with the largest part in the fall of the loss, and that part."""
        name = "term.contribution"
        falls = {
            where: _series.drop(trace.signal("train", where, name), trace.steps, start) or 0.0
            for where in trace.places(name)
        }
        whole = sum(fall for fall in falls.values() if fall > 0)
        if len(falls) < 2 or whole <= 0:
            return "loss", 1.0
        most = max(falls, key=lambda where: falls[where])
        return most, falls[most] / whole

    def _untouched(self, trace: Trace, followed: str) -> str | None:
        """A term that never fell, neither since the run began nor since any later time."""
        for where in trace.places("term.value"):
            values = trace.signal("train", where, "term.value")
            if where != followed and _fall(values, trace, 0.0) < _MOVES:
                return where
        return None

    def _held_out_fall(self, trace: Trace, metric: Objective) -> float | None:
        """By how much a held-out loss fell, of those that the script reports."""
        falls = [
            _fall(series, trace, min(0.5, series.steps[0] / trace.steps))
            for name, series in trace.metrics.items()
            if name != metric.name
            and _words.tokens(name) & _words.HELD_OUT
            and _words.tokens(name) & _LOSSES
            and len(series) >= 5
        ]
        return min(falls, default=None)


def _fall(series: Series, trace: Trace, start: float) -> float:
    return _series.relative_drop(series, trace.steps, start) or 0.0
