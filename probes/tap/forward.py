"""Watches forward passes, while it is switched on: phases, and statistics of every module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle

from probes.tap.modules import ModuleTree, has_running_statistics
from probes.tap.statistics import (
    Collector,
    first_tensor,
    norm_statistics,
    output_statistics,
    prediction_statistics,
)
from probes.tap.transforms import outside_transforms
from probes.tap.unrecorded import unrecorded
from probes.trace import Phase

PASSES = 2
"""Forward passes of each phase that are looked at while the watch is on."""


class ForwardWatch:
    """Global forward hooks that can be put on and taken off at any time.

    Args:
        tree: Names the modules.
        collector: Takes the statistics.
        on_root: Called with every root module before its first forward pass that is watched.
        on_change: Called with a root that has got modules since, such as adapters or another head.

    Attributes:
        on_pass: Called with the outermost module of every forward pass while the hooks are on.
    """

    def __init__(
        self,
        tree: ModuleTree,
        collector: Collector,
        on_root: Callable[[str], None],
        on_change: Callable[[str], None],
    ) -> None:
        self._tree = tree
        self._collector = collector
        self._on_root, self._on_change = on_root, on_change
        self._handles: list[RemovableHandle] = []
        self._depth = 0
        self._phase: Phase | None = None
        self._passes: dict[Phase, int] = {"train": 0, "eval": 0}
        self._listens = False
        self.on_pass: list[Callable[[nn.Module], None]] = []

    @property
    def on(self) -> bool:
        """Whether the hooks are on."""
        return bool(self._handles)

    def switch_on(self) -> None:
        """Watch the next forward passes."""
        self._passes = {"train": 0, "eval": 0}
        self._listens = False
        self._put_on()

    def listen(self) -> None:
        """Tell of the next forward passes, without statistics."""
        if not self.on:
            self._passes = {"train": PASSES, "eval": PASSES}
            self._listens = True
            self._put_on()

    def listen_no_more(self) -> None:
        """Take the hooks off unless statistics are wanted."""
        if self._listens:
            self.switch_off()

    def _put_on(self) -> None:
        if not self.on:
            self._depth = 0
            self._handles = [
                register_module_forward_pre_hook(self._enter),
                register_module_forward_hook(self._leave, always_call=True),
            ]

    def switch_off(self) -> None:
        """Take the hooks off."""
        self._listens = False
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _enter(self, module: nn.Module, args: Any) -> None:
        if self._depth == 0 and not isinstance(module, torch.jit.ScriptModule):
            self._begin_pass(module)
        self._depth += 1

    def _begin_pass(self, module: nn.Module) -> None:
        for listener in self.on_pass:
            listener(module)
        if self._listens:
            self._phase = None
            return
        if not self._tree.knows(module) and any(True for _ in module.parameters()):
            self._on_root(self._tree.add_root_of(module))
        elif (label := self._tree.changed(module)) is not None:
            self._on_change(label)
        phase: Phase = "train" if module.training and torch.is_grad_enabled() else "eval"
        self._passes[phase] += 1
        self._phase = phase if self._passes[phase] <= PASSES else None

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._depth = max(0, self._depth - 1)
        name = self._tree.name(module) if self._phase is not None else None
        if name is None or self._phase is None:
            return
        tensor = first_tensor(output)
        if tensor is None:
            return
        with outside_transforms(), unrecorded():
            found = output_statistics(tensor)
            if self._depth == 0:
                found |= prediction_statistics(tensor)
            batch = first_tensor(args)
            if batch is not None and batch.dim() > 1 and has_running_statistics(module):
                found |= norm_statistics(module, batch)
        self._collector.add(self._phase, name, found)
