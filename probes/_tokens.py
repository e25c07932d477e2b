"""Which tokens the labels of a loss are."""

from __future__ import annotations

from probes import _series
from probes.trace import Trace

_ALL = 0.99
_ANYWAY = 0.9
_PERSISTS = 0.8
_FEWEST_POINTS = 3


def are_labels(trace: Trace, line: str, place: str, other: str) -> bool:
    """Whether the labels of a loss are, in nearly all probed steps, the tokens at a place.

    Args:
        trace: The run.
        line: Of the loss.
        place: ``copied``, the same place, or ``shifted``, the one behind it.
        other: The other one: where they are those as well, nothing can be told.
    """
    values = trace.signal("train", line, f"tokens.{place}").finite.values
    often = sum(value >= _ALL for value in values) >= _PERSISTS * len(values)
    anyway = middle(trace, line, f"tokens.{other}") >= _ANYWAY
    return len(values) >= _FEWEST_POINTS and often and not anyway


def middle(trace: Trace, where: str, name: str) -> float:
    """The median of a signal over the run; 0 where there is none."""
    return _series.middle(trace.signal("train", where, name).finite.values) or 0.0
