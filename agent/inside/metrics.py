"""Turns the numbers that a script reports, wherever it does, into events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from probes.trace import Event


class Metrics:
    """Emits ``metric`` events.

    A metric that is both printed and logged is taken from where it came first, so that its curve
    has each point once.

    Args:
        emit: Takes the events.
        step: Gives the number of optimizer steps done so far.
    """

    def __init__(self, emit: Callable[[Event], None], step: Callable[[], int]) -> None:
        self._emit = emit
        self._step = step
        self._sources: dict[str, str] = {}

    def report(self, name: str, value: Any, source: str) -> None:
        """Take one number; anything that is not a number is left out.

        Args:
            name: Name of the metric.
            value: Its value: a number, or an array or tensor that holds one.
            source: ``printed``, ``mlflow``, ``tensorboard`` or ``wandb``.
        """
        if isinstance(value, bool | str) or self._sources.setdefault(name, source) != source:
            return
        try:
            number = float(value)
        except (TypeError, ValueError, RuntimeError):
            return
        self._emit(
            {
                "event": "metric",
                "step": self._step(),
                "name": name,
                "value": number,
                "source": source,
            }
        )
