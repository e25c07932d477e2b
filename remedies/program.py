"""The living program as the remedies see it: what can be changed, when, and whether it was."""

from __future__ import annotations

from probes.tap import Tap
from remedies.treatment import Treatment


class Program:
    """The program of one trial, under one treatment.

    Args:
        tap: The tap that observes the program.
        treatment: What to change in it.
    """

    def __init__(self, tap: Tap, treatment: Treatment) -> None:
        self._tap = tap
        self._treatment = treatment

    def install(self) -> None:
        """Let every remedy of the treatment say what it will change."""
