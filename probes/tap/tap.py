"""The tap as a whole: what is switched on for which part of the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from probes.trace import Event


class StopTraining(BaseException):
    """Raised in the script when it has done as many steps as it may.

    Not an `Exception`, so that a script's own error handling does not swallow it.
    """


class Tap:
    """Observes the program that runs in this process.

    Args:
        emit: Takes every event (see `probes.trace`).
        root: Folder whose files are the user's code.
        max_steps: Optimizer steps after which `StopTraining` is raised in the script.
    """

    def __init__(
        self, emit: Callable[[Event], None], root: Path, max_steps: int | None = None
    ) -> None:
        self._emit = emit
        self._root = root
        self._max_steps = max_steps
        self._handles: list[Any] = []
        self.step = 0

    def install(self) -> None:
        """Begin to observe."""
        self._handles.append(register_optimizer_step_post_hook(self._after_step))

    def close(self) -> None:
        """Stop observing and emit what is still held back."""
        for handle in self._handles:
            handle.remove()

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self.step += 1
        if self._max_steps is not None and self.step >= self._max_steps:
            raise StopTraining
