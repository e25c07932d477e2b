"""How far an averaged copy of a model is behind the weights that are trained."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from probes.tap.calls import CallLog
from probes.tap.copy_writes import CopyWrites
from probes.tap.first_samples import FirstSamples
from probes.tap.forward import ForwardWatch
from probes.tap.guard import quietly
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.no_grad import NoGradBlocks
from probes.tap.optimizers import held_by
from probes.tap.statistics import Collector
from probes.tap.swaps import SwapWatch
from probes.tap.twins import Twin, Twins, vector
from probes.tap.unrecorded import unrecorded
from probes.tap.wrap import all_undone


class AverageWatch:
    """Compares the copies of a model with it where they are evaluated.

    Up to 1,024 elements of up to a hundred parameters are compared. An evaluation is a pass without
    gradient, or one of a copy in evaluation mode; of those that do not belong to a probed step, the
    ones in a block without gradients that is looked at (see `NoGradBlocks`) or after
    ``model.eval()`` are seen.

    Signals, at the model that is trained: ``average.share``, in training, which share of its
    distance to the weights the copy went since the step before. At ``model@file.py:12``, the line
    that calls one of the two in evaluation: ``average.lag``, which share of the way of the weights,
    since their first step, the copy still has before it: 0 where it is where they are, 1 where it
    is where they began; ``average.beside``, 1 where the trained model itself is called. And those
    of `SwapWatch`.

    Args:
        tree: Names the models.
        sources: Tells the user's lines.
        forward: Tells of forward passes.
        blocks: Tells of parts without gradients.
        calls: Tells of what changes a copy.
        collector: Takes the signals.

    Attributes:
        twins: The copies.
    """

    def __init__(
        self,
        tree: ModuleTree,
        sources: Sources,
        forward: ForwardWatch,
        blocks: NoGradBlocks,
        calls: CallLog,
        collector: Collector,
    ) -> None:
        self._sources = sources
        self._forward = forward
        self._collector = collector
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._begun: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._first = FirstSamples()
        self._on = False
        self._seen = False
        self._told: set[tuple[str, str]] = set()
        self.twins = Twins(tree)
        self._swaps = SwapWatch(tree, sources, self._first, collector)
        self._writes = CopyWrites(sources, calls, collector)
        forward.on_pass.append(self._look_at)
        blocks.on_enter.append(self._enter_block)
        blocks.on_exit.append(self._leave_block)

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = register_optimizer_step_pre_hook(self._before_step).remove
        return all_undone([self.twins.install(), undo])

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """Follow an optimizer that was just made."""
        self._optimizers.add(optimizer)

    @quietly
    def switch_on(self) -> None:
        """Look how far the copies go until the next step."""
        self._on = True
        self._writes.watch(self.twins.found)
        with unrecorded():
            for twin in self.twins.found:
                copy, original = map(vector, twin.parameters())
                if copy is not None and original is not None:
                    twin.before = copy, original

    def switch_off(self) -> None:
        """Look no more."""
        self._on = False
        self._writes.forget()

    @quietly
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._told = set()
        self.compare()
        if not self._on:
            return
        with unrecorded():
            self._keep_first(optimizer)
            self.twins.refresh(self._held())
            for twin in self.twins.found:
                self._measure(twin)

    @quietly
    def compare(self) -> None:
        """Hold what was evaluated against the weights, at the next step or at the end."""
        with unrecorded():
            self._swaps.compare()

    def _keep_first(self, optimizer: Optimizer) -> None:
        """Keep samples of parameters as they are before the first step with them."""
        if optimizer not in self._begun:
            self._begun.add(optimizer)
            for parameter in held_by(optimizer):
                self._first.keep(parameter)

    def _held(self) -> set[int]:
        return {id(p) for optimizer in self._optimizers for p in held_by(optimizer)}

    def _measure(self, twin: Twin) -> None:
        """Tell how far a copy went since the step before."""
        (then, weights), twin.before = twin.before or (None, None), None
        now = vector(twin.parameters()[0])
        if then is None or weights is None or now is None:
            return
        gap = weights - then
        share = torch.dot(now - then, gap) / torch.dot(gap, gap)
        twin.moves = twin.moves or bool(share > 0)
        self._collector.add("train", twin.where, {"average.share": share})

    @quietly
    def _enter_block(self) -> None:
        self._seen = False
        self._forward.listen()

    @quietly
    def _leave_block(self, step_is_probed: bool) -> bool:
        self._forward.listen_no_more()
        return self._seen

    @quietly
    def _look_at(self, module: nn.Module) -> None:
        gradients = torch.is_grad_enabled()
        if gradients and (module.training or not self.twins.found):
            return
        with unrecorded():
            twin = self.twins.of(module)
            if twin is not None:
                self._seen = True
                self._tell(twin, "average.lag", self._lag)
            if twin is not None or gradients:
                return
            self._swaps.look_at(module)
            own = {id(parameter) for parameter in module.parameters()}
            for twin in self.twins.found:
                if not own.isdisjoint(map(id, twin.parameters()[1])):
                    self._tell(twin, "average.beside", lambda _: 1.0)

    def _tell(self, twin: Twin, name: str, value: Callable[[Twin], Tensor | float | None]) -> None:
        """Tell of a line that calls a model, once after each step."""
        place = f"{twin.where}@{self._sources.line() or ''}"
        if (place, name) not in self._told and (found := value(twin)) is not None:
            self._told.add((place, name))
            self._collector.add("eval", place, {name: found})

    def _lag(self, twin: Twin) -> Tensor | None:
        copies, originals = twin.parameters()
        begun = [
            (c, o, f)
            for c, o in zip(copies, originals, strict=True)
            if (f := self._first.of(o)) is not None
        ]
        if not begun:
            return None
        copy, now = vector(c for c, _, _ in begun), vector(o for _, o, _ in begun)
        if copy is None or now is None:
            return None
        way = now - torch.cat([first for _, _, first in begun])
        return torch.dot(now - copy, way) / torch.dot(way, way)
