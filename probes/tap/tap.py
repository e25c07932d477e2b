"""The tap as a whole: what is switched on for which part of the program."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from probes.tap.activations import ActivationWatch
from probes.tap.attention import AttentionWatch
from probes.tap.averages import AverageWatch
from probes.tap.branches import BranchWatch
from probes.tap.by_hand import HandWatch
from probes.tap.cadence import is_probed, spacing
from probes.tap.calls import CallLog
from probes.tap.checkpoints import CheckpointWatch
from probes.tap.clipping import ClipWatch
from probes.tap.data import DataWatch
from probes.tap.dropouts import DropoutWatch
from probes.tap.eager import EagerStance
from probes.tap.finite import FiniteWatch
from probes.tap.forward import ForwardWatch
from probes.tap.freeze_flags import FreezeFlags
from probes.tap.frozen import FrozenWatch
from probes.tap.guard import Guard
from probes.tap.layer_gradients import LayerGradientWatch
from probes.tap.lifecycle import LifecycleWatch
from probes.tap.locate import Sources
from probes.tap.losses import LossWatch
from probes.tap.modules import ModuleTree
from probes.tap.noise import NoiseWatch
from probes.tap.noise_places import NoisePlaces
from probes.tap.predictions import PredictionWatch
from probes.tap.rounding import CastWatch
from probes.tap.scale import ScaleWatch
from probes.tap.settings import SettingsWatch
from probes.tap.spread import SpreadWatch
from probes.tap.states import StateWatch
from probes.tap.statistics import Collector
from probes.tap.transforms import outside_transforms
from probes.tap.updates import UpdateWatch
from probes.tap.wrap import wrap
from probes.trace import Event

_PROGRESS_EVERY = 0.25
_MOST_OPTIMIZERS = 8
"""Optimizers whose making starts a probed step; some loops make one in every iteration."""


class StopTraining(BaseException):
    """Raised in the script when it has done as many steps as it may.

    Not an `Exception`, so that a script's own error handling does not swallow it.
    """


class Watch(Protocol):
    """Observes one aspect of the program at probed steps."""

    def switch_on(self) -> None:
        """Watch the step that begins."""

    def switch_off(self) -> None:
        """Watch no more; the step is over."""


class Tap:
    """Observes the program that runs in this process, without changing a number of it.

    Several optimizers that take turns make one step together; without any, each backward pass
    makes one. At a probed step, forward
    passes, losses and updates are watched from the end of the step before to its own end; when
    ``model.eval()`` is called, the first forward passes after it. In between only the step counter
    is at work.

    Args:
        emit: Takes every event (see `probes.trace`).
        root: Folder whose files are the user's code.
        max_steps: Optimizer steps after which `StopTraining` is raised in the script.
        base: Folder that source lines are named from, the script's; ``root`` without it.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        root: Path,
        max_steps: int | None = None,
        base: Path | None = None,
    ) -> None:
        self._emit = emit
        self._max_steps = max_steps
        self._undo: list[Callable[[], None]] = []
        self._made = 0
        self._turns: set[int] = set()
        self._stepping: Optimizer | None = None
        self._probing = False
        self._evaluated_at: int | None = None
        self._told = 0.0
        self._collector = Collector()
        self.sources = sources = Sources(root, base)
        self.step = 0
        self.tree = ModuleTree(sources)
        self._eager = EagerStance()
        guard = Guard(emit)
        self.calls = CallLog(guard)
        self.losses = LossWatch(sources, self.calls, self._collector, emit)
        self.forward = ForwardWatch(self.tree, self._collector, self._on_root, self._tell_modules)
        self.data = DataWatch(sources, self.tree, self.calls, self.losses, self._collector)
        self.updates = UpdateWatch(self._collector)
        self.settings = SettingsWatch(sources, self._collector, emit)
        self.clipping = ClipWatch(sources, self._collector)
        self.casts = CastWatch(sources, self._collector)
        self.noise = NoiseWatch(
            NoisePlaces(sources, self.tree), self.calls, self.losses, self._collector, emit
        )
        self.checkpoints = CheckpointWatch(self.tree, sources, self.calls, self._collector, emit)
        self._by_hand = HandWatch(
            self.tree,
            sources,
            emit,
            lambda: self.step,
            lambda: self._probing,
            self.losses.look_at,
            self._next_step,
            guard,
        )
        self.lifecycle = LifecycleWatch(
            self.tree, sources, self.calls, self._collector, emit, lambda: self.step
        )
        self.losses.probed.append(self.lifecycle.look_at)
        self.lifecycle.blocks.on_enter.append(self.data.evaluate_samples)
        self.frozen = FrozenWatch(
            self.tree, FreezeFlags(sources, self.tree.name), self._collector, sources.line
        )
        self.averages = AverageWatch(
            self.tree, sources, self.forward, self.lifecycle.blocks, self.calls, self._collector
        )
        self._states = StateWatch(self.tree, sources, self._collector, lambda: self.step)
        self._watches: tuple[Watch, ...] = (
            self.forward,
            self.losses,
            self.noise,
            ScaleWatch(self.tree, self._collector),
            self.checkpoints,
            PredictionWatch(sources, self.calls, self._collector),
            BranchWatch(self.tree, self.calls, self._collector),
            self.clipping,
            self.data,
            ActivationWatch(self.tree, sources, self.calls, self._collector, emit),
            LayerGradientWatch(self.tree, self._collector),
            AttentionWatch(self.tree, sources, self.calls, self._collector, emit),
            SpreadWatch(self.tree, self.calls, self._collector),
            FiniteWatch(sources, self.calls, self.losses, emit, lambda: self.step),
            self.lifecycle,
            self.frozen,
            self.averages,
            DropoutWatch(self.tree, sources, self.calls, self._collector),
        )
        for watch in (*self._watches, *self.data.watches, self.updates):
            guard.shield(watch, "_leave", "_before_backward", "before", "after")
            if watch is not self.forward:  # By which remedies change the program.
                guard.shield(watch, "_enter")
        self.on_root: list[Callable[[str], None]] = []
        self.on_optimizer: list[Callable[[Optimizer], None]] = [
            self.checkpoints.add_optimizer,
            self._by_hand.optimizer_made,
            self.settings.add,
            self.lifecycle.add_optimizer,
            self.frozen.add_optimizer,
            self.averages.add_optimizer,
        ]

    def install(self) -> None:
        """Begin to observe."""
        self._undo = [
            self.tree.install(),
            self.losses.install(),
            self._by_hand.install(),
            self.checkpoints.install(),
            self.clipping.install(),
            self.casts.install(),
            self.data.install(),
            self.lifecycle.install(),
            self.frozen.install(),
            self.averages.install(),
            self._states.install(),
            wrap(Optimizer, "__init__", after=self._after_optimizer_made),
            wrap(nn.Module, "train", before=self._before_mode),
            register_optimizer_step_pre_hook(self._before_step).remove,
            register_optimizer_step_post_hook(self._after_step).remove,
        ]

    def close(self) -> None:
        """Stop observing and emit what is still held back."""
        self.averages.compare()
        self._flush()
        self._stop_probing()
        self.calls.switch_off()
        while self._undo:
            self._undo.pop()()
        self._emit({"event": "progress", "step": self.step})

    def _after_optimizer_made(self, optimizer: Optimizer) -> None:
        # Before there is an optimizer, forward passes are dry runs.
        for listener in self.on_optimizer:
            listener(optimizer)
        self._made += 1
        if self._made <= _MOST_OPTIMIZERS:
            self._start_probing()

    def _on_root(self, label: str) -> None:
        for listener in self.on_root:
            listener(label)
        self._tell_modules(label)

    def _tell_modules(self, label: str) -> None:
        for event in self.tree.events(label):
            self._emit(event)

    def _before_mode(self, module: nn.Module, mode: bool = True) -> None:
        if mode or self._probing or not self.step or self._evaluated_at == self.step:
            return
        due = self._evaluated_at is None or self.step >= self._evaluated_at + spacing(self.step)
        if due and self._eager.switch_on():
            self._evaluated_at = self.step
            self.forward.switch_on()
            self.noise.switch_on()
            self.data.evaluate()
            self.calls.switch_on()

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._probing:
            names = self.tree.parameter_names() or self.sources.tensors()
            with torch._C.DisableTorchFunction():
                self.updates.before(optimizer, names)
        if self._probing or self.losses.listeners:  # Else it may be compiled and asks no mode.
            closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
            if self.calls.on and closure is None and self._stepping is None:
                # What an optimizer computes by itself is of no interest, and makes many calls.
                self._stepping = optimizer
                self.calls.switch_off()

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._by_hand.optimizer_stepped()
        if self._probing:
            with torch._C.DisableTorchFunction():
                self.updates.after()
                self.settings.after(optimizer, self.tree.parameter_names())
        if self._stepping is optimizer:
            self._stepping = None
            self.calls.switch_on()
        if self._turns and id(optimizer) not in self._turns:
            self._turns.add(id(optimizer))
            return
        self._turns = {id(optimizer)}
        self._next_step()

    def _next_step(self) -> None:
        if self._probing or self.forward.on or self._collector.pending:
            self._flush()
            self._stop_probing()
        self.losses.forget()
        self.tree.forget_parameters()
        self.step += 1
        now = time.monotonic()
        if now - self._told > _PROGRESS_EVERY:
            self._told = now
            self._emit({"event": "progress", "step": self.step})
        if self._max_steps is not None and self.step >= self._max_steps:
            raise StopTraining
        if is_probed(self.step):
            self._start_probing()

    def _start_probing(self) -> None:
        if not self._eager.switch_on():
            return
        self._probing = True
        self.calls.switch_on()
        for watch in self._watches:
            watch.switch_on()

    def _stop_probing(self) -> None:
        self._probing = False
        for watch in self._watches:
            watch.switch_off()
        if not self.losses.listeners:
            self.calls.switch_off()
            self._eager.switch_off()

    def _flush(self) -> None:
        with outside_transforms(), torch._C.DisableTorchFunction():
            for event in self._collector.drain(self.step):
                self._emit(event)
