"""Runs a small program under a treatment, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from probes.tap import Tap
from probes.trace import Event, Trace
from remedies.surgery import Program
from remedies.treatment import Treatment

Treat = Callable[..., tuple[nn.Module, Trace]]


@pytest.fixture
def treat() -> Treat:
    """Give the model that a program returns, and the trace of its run under a treatment."""

    def run(program: Callable[[], nn.Module], treatment: Treatment) -> tuple[nn.Module, Trace]:
        events: list[Event] = []
        tap = Tap(events.append, Path(__file__).parent)
        living = Program(tap, treatment, events.append)
        tap.install()
        try:
            living.install()
            model = program()
        finally:
            living.close()
            tap.close()
        return model, Trace.of(events)

    return run
