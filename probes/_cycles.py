"""What the probes of the optimizer's cycle have in common."""

from __future__ import annotations

from probes.series import Series
from probes.trace import Trace

_FEWEST = 5
_PERSISTS = 0.8


def persisting(trace: Trace, where: str, name: str, least: float) -> Series | None:
    """A share of an optimizer's cycle, where it is this high in four of five steps, and late.

    The first step does not count: there is nothing before it.
    """
    series = trace.signal("train", where, name).finite.since(1)
    high = sum(value >= least for value in series.values)
    late = max(series.values[-2:], default=0.0)
    if len(series) < _FEWEST or high < _PERSISTS * len(series) or late < least:
        return None
    return series
