"""Runs a small program under a treatment, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from probes.trace import Trace
from remedies.surgery import Program
from remedies.treatment import Treatment
from tests.probes.tap.observing import tapped

Treat = Callable[..., tuple[nn.Module, Trace]]


@pytest.fixture
def treat() -> Treat:
    """Give the model that a program returns, and the trace of its run under a treatment."""

    def run(program: Callable[[], nn.Module], treatment: Treatment) -> tuple[nn.Module, Trace]:
        with tapped(folder=Path(__file__).parent) as observed:
            living = Program(observed.tap, treatment, observed.events.append)
            try:
                living.install()
                model = program()
            finally:
                living.close()
        return model, observed.trace

    return run
