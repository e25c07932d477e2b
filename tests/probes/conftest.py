"""Traces made of plain numbers, for the probes to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from probes.trace import Event, Trace

Curve = Sequence[float]
TraceMaker = Callable[..., Trace]


@pytest.fixture
def make_trace() -> TraceMaker:
    """Make a trace of curves that are spread evenly over a run of 100 steps."""

    def make(
        signals: Mapping[tuple[str, str, str], Curve] | None = None,
        metrics: Mapping[str, Curve] | None = None,
        modules: Sequence[Event] = (),
        terms: Sequence[str] = (),
    ) -> Trace:
        events: list[Event] = [{"event": "module", **module} for module in modules]
        events += [
            {"event": "term", "where": t, "source": f"train.py:{n}"}
            for n, t in enumerate(terms, start=1)
        ]
        for (phase, where, name), curve in (signals or {}).items():
            for step, value in _spread(curve):
                row = [[where, name, value]]
                events.append({"event": "signals", "step": step, "phase": phase, "rows": row})
        for name, curve in (metrics or {}).items():
            for step, value in _spread(curve):
                events.append({"event": "metric", "step": step, "name": name, "value": value})
        events.append({"event": "progress", "step": 100})
        return Trace.of(events)

    return make


def _spread(curve: Curve) -> list[tuple[int, float]]:
    last = max(1, len(curve) - 1)
    return [(100 * place // last, value) for place, value in enumerate(curve)]
