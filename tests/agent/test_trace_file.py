"""A trace comes back from the disk as it went there."""

from __future__ import annotations

import math

import pytest

from agent.trace_file import read_trace, write_trace
from probes.trace import Event, Trace

WHOLE: list[Event] = [
    {"event": "module", "where": "net.0", "type": "Linear", "source": "train.py:3"},
    {"event": "term", "where": "loss", "source": "train.py:9", "operation": "mse_loss"},
    {"event": "noise", "where": "net", "operand": 1},
    {"event": "loop", "where": "optimizer", "type": "SGD", "stepped": "train.py:11"},
    {"event": "optimizer", "where": "SGD", "type": "SGD", "parameters": ["net.0.weight"]},
    {"event": "activation", "where": "net.1", "operation": "relu", "kind": "rectified"},
    {"event": "attention", "where": "net.2", "operation": "softmax"},
    {"event": "nonfinite", "operation": "log", "source": "train.py:9", "step": 7},
    {"event": "applied", "remedy": "R101", "target": "net.0", "detail": "swapped", "step": 0},
    {"event": "note", "text": "a note"},
    {"event": "signals", "step": 0, "phase": "train", "rows": [["loss", "loss.value", 1.5]]},
    {"event": "signals", "step": 9, "phase": "eval", "rows": [["net.0", "out.std", math.inf]]},
    {"event": "metric", "step": 5, "name": "val_acc", "value": math.nan, "source": "mlflow"},
    {"event": "progress", "step": 10},
    {"event": "ending", "status": "raised", "message": "no", "steps": 12, "seconds": 1.5},
]


@pytest.mark.parametrize("events", [WHOLE, []], ids=["whole", "empty"])
def test_a_trace_survives_the_disk(events, tmp_path) -> None:
    expected = Trace.of(events)
    write_trace(expected, tmp_path)
    # NaN differs from itself, not its repr.
    assert repr(vars(read_trace(tmp_path))) == repr(vars(expected))


def test_the_whole_trace_has_something_of_everything() -> None:
    assert all(vars(Trace.of(WHOLE)).values())
