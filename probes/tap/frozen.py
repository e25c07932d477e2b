"""Parts of a model that the training leaves out, and whether they stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from probes.tap.dense import is_dense_float
from probes.tap.first_samples import FirstSamples
from probes.tap.freeze_flags import FreezeFlags
from probes.tap.frozen_norms import FrozenNorms
from probes.tap.frozen_parts import FrozenPart, distance, frozen_parts, sample_of
from probes.tap.guard import quietly
from probes.tap.modules import ModuleTree
from probes.tap.optimizers import held_by
from probes.tap.stages import Stages
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded
from probes.tap.wrap import all_undone, wrap


class FrozenWatch:
    """Compares what is not trained with what it was when it was seen first.

    A part is the outermost module whose parameters all ask for no gradient, or are in no optimizer
    that is in use, or were to be frozen by an attribute that does nothing (`FreezeFlags`).

    Signals at a part: ``frozen.elements``; ``frozen.asked``, whether its parameters ask for no
    gradient; ``frozen.drift``, how far its parameters are from where they were, in units of their
    norm; ``frozen.stepped``, the same for the step that was just made by an optimizer that holds
    them, with ``frozen.gradient``, the norm of their gradients, and ``frozen.decay``, the weight
    decay; ``frozen.shift`` and ``frozen.spread``, how far the running means of its norms have
    moved, in standard deviations, and the logarithms of their variances. At ``part@file.py:12``:
    ``frozen.misplaced``, the line that sets the attribute, and ``frozen.training``, the last line
    that put the part into training mode.

    Args:
        tree: Names the modules.
        flags: Knows attributes that do nothing.
        collector: Takes the signals.
        line: Tells the user's line.

    Attributes:
        flags: The same.
    """

    def __init__(
        self,
        tree: ModuleTree,
        flags: FreezeFlags,
        collector: Collector,
        line: Callable[[], str | None],
    ) -> None:
        self._tree = tree
        self.flags = flags
        self._collector = collector
        self._line = line
        self._on = False
        self._stages = Stages()
        self._norms = FrozenNorms()
        self._first = FirstSamples()
        self._before: dict[int, Tensor] = {}
        self._parts: list[FrozenPart] = []
        self._told: set[str] = set()
        self._modes: dict[int, str] = {}

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = [
            wrap(nn.Module, "train", before=self._before_mode),
            register_optimizer_step_pre_hook(self._before_step).remove,
            register_optimizer_step_post_hook(self._after_step).remove,
        ]
        return all_undone(undo)

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """Follow an optimizer that was just made."""
        self._stages.made(optimizer)

    def switch_on(self) -> None:
        """Look at the next step."""
        self._on, self._told = True, set()

    def switch_off(self) -> None:
        """Look no more."""
        self._on, self._before, self._parts = False, {}, []

    @quietly
    def _before_mode(self, module: nn.Module, mode: bool = True) -> None:
        if mode and self._tree.name(module) is not None:
            self._modes[id(module)] = self._line() or ""

    @quietly
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._stages.stepped(optimizer)
        if not self._on:
            return
        with unrecorded():
            held = {id(parameter) for parameter in held_by(optimizer)}
            self._parts = self._find_parts()
            self._norms.forget_others(p.module for p in self._parts if p.module is not None)
            for part in self._parts:
                for parameter in part.parameters:
                    sample = self._first.keep(parameter)
                    if sample is not None and id(parameter) in held:
                        self._before[id(parameter)] = sample

    @quietly
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not self._on:
            return
        with unrecorded():
            for part in self._parts:
                found = {**self._of_step(part, optimizer), **self._of_norms(part)}
                if found:
                    self._tell(part, found)
        self._before, self._parts = {}, []

    def _tell(self, part: FrozenPart, found: dict[str, Tensor | float]) -> None:
        now = [(self._first.of(p), sample_of(p)) for p in part.parameters]
        pairs = ((one, other) for one, other in now if one is not None and other is not None)
        found["frozen.drift"] = distance(pairs)
        found["frozen.elements"] = float(sum(p.numel() for p in part.parameters))
        found["frozen.asked"] = float(not any(p.requires_grad for p in part.parameters))
        self._collector.add("train", part.where, found)

    def _of_step(self, part: FrozenPart, optimizer: Optimizer) -> dict[str, Tensor | float]:
        """What a step did to the parameters that its optimizer holds."""
        own = [p for p in part.parameters if id(p) in self._before]
        if not own:
            return {}
        keys = {id(p) for p in own}
        decays = [
            float(group.get("weight_decay") or 0.0)
            for group in optimizer.param_groups
            if any(id(p) in keys for p in group["params"])
        ]
        gradients = [p.grad.detach().float() for p in own if is_dense_float(p.grad)]
        norms = torch._foreach_norm(gradients) if gradients else [torch.zeros(())]
        pairs = ((self._before[id(p)], s) for p in own if (s := sample_of(p)) is not None)
        for line in self._misplaced(part):
            self._collector.add("train", f"{part.where}@{line}", {"frozen.misplaced": 1.0})
        return {
            "frozen.stepped": distance(pairs),
            "frozen.gradient": torch.stack(list(norms)).norm(),
            "frozen.decay": max(decays),
        }

    def _of_norms(self, part: FrozenPart) -> Mapping[str, Tensor]:
        """How far the running statistics are from what they were."""
        if part.module is None or part.where in self._told:
            return {}
        found = self._norms.moved(part.module)
        if found:
            self._told.add(part.where)
            line = self._put_to_training(part.module)
            self._collector.add("train", f"{part.where}@{line}", {"frozen.training": 1.0})
        return found

    def _misplaced(self, part: FrozenPart) -> set[str]:
        things = [part.module, *part.parameters]
        things += part.module.modules() if part.module is not None else []
        return {line for thing in things if (line := self.flags.line(thing)) is not None}

    def _put_to_training(self, module: nn.Module) -> str:
        root = self._tree.root_of(module)
        return self._modes.get(id(module)) or self._modes.get(id(root)) or ""

    def _find_parts(self) -> list[FrozenPart]:
        trained = {
            id(p) for optimizer in self._stages.current for p in held_by(optimizer)
            if p.requires_grad
        }  # fmt: skip
        for root in self._tree.roots.values():
            for module in root.modules():
                if self.flags.line(module) is not None:
                    trained -= {id(p) for p in module.parameters()}
            trained -= {id(p) for p in root.parameters() if self.flags.line(p) is not None}
        self._first.forget(trained)
        return frozen_parts(self._tree, trained)
