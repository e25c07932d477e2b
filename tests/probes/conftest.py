"""Traces made of plain numbers, for the probes to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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


_STEPS = 100


@pytest.fixture
def optimize() -> TraceMaker:
    """Make a trace of a run with one optimizer."""
    return _optimize


def _optimize(
    losses: Sequence[float],
    metric: Sequence[float] = (),
    ratio: float = 1e-3,
    kind: str = "SGD",
    weights: Sequence[float] = (1.0, 1.0),
    gradient: float = 1.0,
    steadiness: float = 0.5,
    name: str = "val_acc",
    rows: Sequence[tuple[str, str, float]] = (),
    **settings: float,
) -> Trace:
    """A run of 100 steps, each probed, with one weight matrix and one parameter group.

    Args:
        losses: Spread evenly over the run, without interpolation.
        metric: Spread evenly over the run.
        ratio: Update over weight at every step.
        kind: Class of the optimizer.
        weights: Norm of the matrix, first and last.
        gradient: Norm of its gradient.
        steadiness: Cosine of successive gradients.
        name: Of the metric.
        rows: Further signals of every step.
        settings: Of the optimizer.
    """
    events: list[Event] = [
        {"event": "module", "where": "", "type": "Net", "source": "train.py:3", "parameters": 9},
        {
            "event": "optimizer",
            "where": kind,
            "type": kind,
            "source": "train.py:9",
            "parameters": ["net.weight"],
        },
    ]
    settings = {"lr": 0.1, **settings}
    for step in range(_STEPS):
        norm = weights[0] + (weights[1] - weights[0]) * step / (_STEPS - 1)
        found: list[tuple[str, str, float]] = [
            ("loss", "loss.value", losses[step * len(losses) // _STEPS]),
            ("net.weight", "weight.norm", norm),
            ("net.weight", "update.norm", ratio * norm),
            ("net.weight", "grad.norm", gradient),
            (kind, "optimizer.steadiness", steadiness),
            *((kind, f"optimizer.{key}", value) for key, value in settings.items()),
            *rows,
        ]
        listed: list[Any] = [list(row) for row in found]
        events.append({"event": "signals", "step": step, "phase": "train", "rows": listed})
    for place, value in enumerate(metric, start=1):
        step = _STEPS * place // len(metric)
        events.append({"event": "metric", "step": step, "name": name, "value": value})
    events.append({"event": "progress", "step": _STEPS})
    return Trace.of(events)
