"""P206: two loss terms pull the shared parameters in opposite directions."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_OPPOSED = -0.2
_MOSTLY = 0.8
_COMPARABLE = 0.1
_MOVES = 0.1
_WINDOWS = ((0.0, 0.2), (0.5, 1.0))


class GradientConflict(Probe):
    """Two loss terms pull the shared parameters in opposite directions.

    What it detects:
        A pair of terms whose gradients on the parameters that they share point against each other
        from early on, at comparable strength.

    Why it harms:
        What one term gains the other one loses: both creep, or the stronger one wins and the other
        is never learned.

    Rule:
        Both in the first fifth of the run and in its second half, the median cosine between the
        two gradients is -0.2 or less, four in five are negative, and the smaller norm is a tenth
        of the larger one or more. That is an observation (severity 0.3): an adversary is meant to
        pull back, and where a sum of terms has converged their gradients cancel by necessity, which
        is why it must be so early, too. It is an alarm when one of the two never fell by a tenth
        since the run began, and no report of the metric is better than the first one by a tenth of
        the way to the best value, with more than a fifth of the range left. Severity rises from 0.5
        at a cosine of -0.2 to 1 at -1. Both terms are named, the one that got further first.

    Example:
        bad: a penalty that draws all codes together beside a loss that has to tell them apart
        good: one of the two left out, or the conflicting part of its gradient

    Source:
        Yu et al. 2020, Gradient Surgery for Multi-Task Learning (conflict: a negative cosine).
    """

    code = "P206"
    name = "gradient-conflict"
    signals = ("term.cosine", "term.grad", "term.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        stuck = metric is not None and _progress.gets_nowhere(trace, metric, _MOVES)
        found: list[Symptom] = []
        for pair in trace.places("term.cosine"):
            one, separator, other = pair.partition("|")
            if separator and self._conflict(trace, pair, one, other):
                found += self._symptoms(trace, pair, one, other, stuck)
        yield from sorted(found, key=lambda symptom: -symptom.severity)

    def _conflict(self, trace: Trace, pair: str, one: str, other: str) -> bool:
        for start, end in _WINDOWS:
            cosines = self._window(trace, pair, "term.cosine", start, end)
            norms = [
                _series.middle(self._window(trace, where, "term.grad", start, end)) or 0.0
                for where in (one, other)
            ]
            if len(cosines) < 3 or (_series.middle(cosines) or 0.0) > _OPPOSED:
                return False
            if sum(value < 0 for value in cosines) < _MOSTLY * len(cosines):
                return False
            if not max(norms) or min(norms) < _COMPARABLE * max(norms):
                return False
        return True

    def _window(self, trace: Trace, where: str, name: str, start: float, end: float) -> list[float]:
        return _series.window(trace.signal("train", where, name), trace.steps, start, end)

    def _symptoms(
        self, trace: Trace, pair: str, one: str, other: str, stuck: bool
    ) -> Iterable[Symptom]:
        falls = {where: self._fall(trace, where) for where in (one, other)}
        ahead, behind = (one, other) if falls[one] >= falls[other] else (other, one)
        cosines = trace.signal("train", pair, "term.cosine")
        cosine = _series.second_half(cosines, trace.steps) or 0.0
        against = Series(cosines.steps, [-value for value in cosines.values])
        severity = 0.3
        if stuck and falls[behind] < _MOVES:
            severity = ALARM + 0.5 * min(1.0, (_OPPOSED - cosine) / (1.0 + _OPPOSED))
        for where in (ahead, behind):
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=severity,
                where=where,
                source=trace.terms[where].source if where in trace.terms else None,
                step=_series.first_step(against, -_OPPOSED),
                evidence={"cosine": cosine, "fall": falls[where]},
                message=(
                    f"{ahead} (fell by {falls[ahead]:.0%}) and {behind} (by {falls[behind]:.0%}) "
                    f"pull against each other: their gradients have a cosine of {cosine:.2f}"
                ),
            )

    def _fall(self, trace: Trace, where: str) -> float:
        series = trace.signal("train", where, "term.value")
        return _series.relative_drop(series, trace.steps, 0.0) or 0.0
