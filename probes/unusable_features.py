"""P902: features with values that are no measurements, and training that suffers."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_PERSISTS = 0.5


class UnusableFeatures(Probe):
    """Features with values that are no measurements, and training that suffers.

    What it detects:
        NaN and infinity in the data; -999, 9999 or 1e30 in the place of what is missing.

    Why it harms:
        One NaN makes the loss NaN and, with the next step, all weights. A code that is far from all
        values is the loudest thing that the first layer hears: its gradient is of that scale.

    Rule:
        What the first layer with weights takes in has values that are not finite, in training; or
        a feature has, in half of the probed steps or more, values 30 times as far from its median
        as they usually are (measured by the median distance, so that the codes do not count), half
        of them one number that is twice as far as any other: the values of a long tail differ, and
        so do those before the end of a scale. That alone is an observation (0.3). It is an alarm
        where the loss is no longer finite (0.9), or, for the latter, where little is learned (see
        input-scale; 0.75). Features that are constant do no harm by themselves.

    Example:
        bad: ``x = torch.tensor(table)`` with -999 where a sensor did not answer
        good: ``x = torch.where(x == -999, x.nanmean(0), x)``, and a feature that says so

    Source:
        Breck et al. 2019, Data Validation for Machine Learning; Hynes et al. 2017, The Data Linter
        (tailed distributions, missing values coded as numbers).
    """

    code = "P902"
    name = "unusable-features"
    signals = ("input.missing", "input.outlying", "input.column", "loss.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("input.missing"):
            missing = trace.signal("train", where, "input.missing").finite.values
            apart = trace.signal("train", where, "input.outlying").finite.values
            if any(0 < share <= 1 for share in missing):
                share, step = max(missing), _first(trace, where, "input.missing")
                harmed, severity, what = _broke(trace), 0.9, "is NaN or infinite"
            elif sum(0 < share < 0.5 for share in apart) >= max(2.0, _PERSISTS * len(apart)):
                share, step = _series.middle(apart) or 0.0, _first(trace, where, "input.outlying")
                harmed, severity = _harm.learns_little(trace, metric), 0.75
                what = "is 30 times as far from its median as usual (a code for what is missing?)"
            else:
                continue
            column = trace.signal("train", where, "input.column")
            number = next((value for at, value in column.finite if at >= step), 0.0)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=severity if harmed else 0.3,
                where=where,
                source=trace.modules[where].source if where in trace.modules else None,
                step=step,
                evidence={"share": share, "feature": number},
                message=f"of what {where} takes in (feature {number:.0f}), some {what}",
            )


def _first(trace: Trace, where: str, name: str) -> int:
    return next(step for step, value in trace.signal("train", where, name).finite if value > 0)


def _broke(trace: Trace) -> bool:
    """Whether the loss is, in the end, not finite."""
    losses = trace.signal("train", "loss", "loss.value")
    return len(losses) > len(losses.finite)
