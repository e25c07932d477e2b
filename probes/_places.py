"""What a line of the script is called in a trace."""

from __future__ import annotations

from probes.trace import Trace


def term_at(trace: Trace, line: str) -> str:
    """Name of the loss term that a line computes; the line itself where it computes none."""
    return next((info.where for info in trace.terms.values() if info.source == line), line)


def root(trace: Trace) -> str | None:
    """Name of the first model that was seen; None where there is none."""
    return next((info.where for info in trace.modules.values() if info.parent is None), None)
