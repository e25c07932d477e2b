"""The parts of a program that compute no gradients, by the user's will."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch

from probes.tap.cadence import spacing
from probes.tap.calls import CallLog
from probes.tap.guard import quietly
from probes.tap.locate import Sources
from probes.tap.wrap import all_undone


class NoGradBlocks:
    """Knows when the script enters and leaves ``no_grad`` or ``inference_mode``.

    Those that run a module are looked at, about as often as there are probed steps.

    Args:
        sources: Tells the user's lines.
        calls: Is on while a block is looked at.
        step: Gives the number of the optimizer step.

    Attributes:
        line: The line that entered the outermost block that is open.
        on_enter: Called when a block is to be looked at.
        on_exit: Called at its end, with whether the step goes on to be probed; each says whether
            there was something to see.
    """

    def __init__(self, sources: Sources, calls: CallLog, step: Callable[[], int]) -> None:
        self._sources = sources
        self._calls = calls
        self._step = step
        self._open: list[Any] = []
        self._looked_at: int | None = None
        self._looking = False
        self._probing = False
        self.line: str | None = None
        self.on_enter: list[Callable[[], None]] = []
        self.on_exit: list[Callable[[bool], bool]] = []

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = [self._around(kind) for kind in (torch.no_grad, torch.inference_mode)]
        return all_undone(undo)

    def switch_on(self) -> None:
        """The step that begins is probed: all blocks are named."""
        self._probing = True

    def switch_off(self) -> None:
        """Only blocks that are due are looked at."""
        self._probing = False

    def _around(self, kind: Any) -> Callable[[], None]:
        enter, leave = kind.__enter__, kind.__exit__

        @functools.wraps(enter)
        def entered(block: Any) -> Any:
            result = enter(block)
            if not self._open and (self._probing or self._is_due()):
                self._begin(block)
            return result

        @functools.wraps(leave)
        def left(block: Any, *error: Any) -> Any:
            if self._open and self._open[-1] is block:
                self._end()
            return leave(block, *error)

        kind.__enter__, kind.__exit__ = entered, left

        def undo() -> None:
            kind.__enter__, kind.__exit__ = enter, leave

        return undo

    def _is_due(self) -> bool:
        step = self._step()
        last = self._looked_at
        return step > 0 and (last is None or step >= last + spacing(step))

    @quietly
    def _begin(self, block: Any) -> None:
        if torch.compiler.is_compiling() or not self._is_the_users():
            return
        self._open.append(block)
        self.line = self._sources.line()
        if self._is_due():
            self._looking = True
            self._calls.switch_on()
            for listener in self.on_enter:
                listener()

    def _is_the_users(self) -> bool:
        frame = sys._getframe(4)  # Of what the block is entered by.
        if frame.f_code.co_name == "decorate_context" and frame.f_back is not None:
            frame = frame.f_back
        return self._sources.name(frame.f_code.co_filename) is not None

    @quietly
    def _end(self) -> None:
        self._open.pop()
        self.line = None
        if self._looking:
            self._looking = False
            seen = [listener(self._probing) for listener in self.on_exit]
            if any(seen):
                self._looked_at = self._step()
