"""The tap: observes a living training program without a change of its code or its numbers."""

from probes.tap.tap import StopTraining, Tap

__all__ = ["StopTraining", "Tap"]
