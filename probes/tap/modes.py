"""Watches in which mode dropout and norms with running statistics work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle

from probes.tap.calls import CallLog
from probes.tap.guard import quietly
from probes.tap.modules import ModuleTree
from probes.tap.no_grad import NoGradBlocks
from probes.tap.optimizers import Optimizers
from probes.tap.statistics import Collector
from probes.tap.terms import LossTerm
from probes.tap.wrap import wrap

_TRAINING_AT = {
    "dropout": (2, 1), "dropout1d": (2, 1), "dropout2d": (2, 1), "dropout3d": (2, 1),
    "alpha_dropout": (2, 1), "feature_alpha_dropout": (2, 1), "batch_norm": (5, 1),
    "lstm": (6, 5), "gru": (6, 5),
}  # fmt: skip
"""Where these functions take ``training``, and before it what it depends on."""


@dataclass(slots=True)
class _Pass:
    """What was seen of the forward passes of one root."""

    passes: int = 0
    training: int = 0
    calls: int = 0
    active: int = 0
    norms: int = 0
    inputs: int = 0


class ModeWatch:
    """Notes for every root whether it is in training mode while it is trained, and evaluated.

    Signals, at ``root@file.py:12``: in training passes the line is that of the last ``eval()`` of
    the root, in passes without gradients the one that calls it. ``mode.training``, the share of
    the passes with the root in training mode; ``mode.active``, the share of the calls of dropout
    and batch norm that worked as in training; ``mode.calls`` and ``mode.norms``, how many there
    were in all, and of batch norms; ``mode.trained``, whether an optimizer holds a parameter of the
    root; ``mode.repeats``, passes for each input.

    Args:
        tree: Names the roots.
        optimizers: Knows what is trained.
        calls: Tells of dropout and batch norm.
        blocks: Tells of passes without gradients.
        collector: Takes the signals.
    """

    def __init__(
        self,
        tree: ModuleTree,
        optimizers: Optimizers,
        calls: CallLog,
        blocks: NoGradBlocks,
        collector: Collector,
    ) -> None:
        self._tree = tree
        self._optimizers = optimizers
        self._blocks = blocks
        self._collector = collector
        self._handles: list[RemovableHandle] = []
        self._depth = 0
        self._root: nn.Module | None = None
        self._passes: dict[tuple[bool, str], tuple[nn.Module, _Pass]] = {}
        self._inputs: dict[str, list[Tensor]] = {}
        self._put_to_eval: dict[int, str] = {}
        calls.listen(self._note, _TRAINING_AT)
        blocks.on_enter.append(self.switch_on)
        blocks.on_exit.append(self._end_of_block)

    def install(self) -> Callable[[], None]:
        """Begin to note calls of ``eval``; returns what undoes it."""
        return wrap(nn.Module, "train", before=self._before_mode)

    @quietly
    def _before_mode(self, module: nn.Module, mode: bool = True) -> None:
        if mode or sys._getframe(3).f_code is _TRAIN:  # Of a child, by its parent.
            return
        self._put_to_eval[id(module)] = self._optimizers.line() or ""

    def switch_on(self) -> None:
        """Watch the next forward passes."""
        if not self._handles:
            self._depth, self._passes, self._inputs = 0, {}, {}
            self._handles = [
                register_module_forward_pre_hook(self._enter),
                register_module_forward_hook(self._leave, always_call=True),
            ]

    def switch_off(self) -> None:
        """Watch no more."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._passes, self._inputs = [], {}, {}

    @quietly
    def _end_of_block(self, step_is_probed: bool) -> bool:
        seen = self._tell(False)
        if not step_is_probed:
            self.switch_off()
        return seen

    @quietly
    def look_at(self, loss: Tensor, terms: list[LossTerm]) -> None:
        """Take the passes before a backward pass for training passes."""
        self._tell(True)

    def _tell(self, gradients: bool) -> bool:
        found = [key for key in self._passes if key[0] is gradients]
        held = {id(p) for known in self._optimizers.alive for p in known.parameters}
        for key in found:
            root, noted = self._passes.pop(key)
            if not noted.calls:
                continue
            line = self._put_to_eval.get(id(root), "") if gradients else key[1].rpartition("@")[2]
            statistics = {
                "mode.training": noted.training / noted.passes,
                "mode.active": noted.active / noted.calls,
                "mode.calls": float(noted.calls),
                "mode.norms": float(noted.norms),
                "mode.trained": float(any(id(p) in held for p in root.parameters())),
                "mode.repeats": noted.passes / max(1, noted.inputs),
            }
            where = f"{key[1].rpartition('@')[0]}@{line}"
            self._collector.add("train" if gradients else "eval", where, statistics)
        self._inputs = {}
        return bool(found)

    @quietly
    def _enter(self, module: nn.Module, args: Any) -> None:
        self._depth += 1
        if self._depth > 1 or torch._C._current_graph_task_id() != -1:
            return
        self._root = root = self._tree.root_of(module)
        if root is None:
            return
        gradients = torch.is_grad_enabled()
        line = "" if gradients else (self._optimizers.line() or "")
        key = gradients, f"{self._tree.name(root)}@{line}"
        _, noted = self._passes.setdefault(key, (root, _Pass()))
        noted.passes += 1
        noted.training += root.training
        known = self._inputs.setdefault(key[1], [])
        batch = next((value for value in args if isinstance(value, Tensor)), None)
        if batch is None or not any(_same(batch, other) for other in known[-1:]):
            noted.inputs += 1
        if batch is not None:
            known.append(batch)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            self._root = None

    @quietly
    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        name = getattr(func, "__name__", "")
        if not self._handles or name not in _TRAINING_AT or self._root is None:
            return
        active = _works_as_in_training(name, args, kwargs)
        if active is None:
            return
        gradients, label = torch.is_grad_enabled(), self._tree.name(self._root)
        for (own, where), (_, noted) in self._passes.items():
            if own is gradients and where.rpartition("@")[0] == label:
                noted.calls += 1
                noted.active += active
                noted.norms += name == "batch_norm"
                break


_TRAIN = nn.Module.train.__code__


def _same(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.data_ptr() == other.data_ptr() and one.shape == other.shape)


def _works_as_in_training(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool | None:
    """Whether a function that can does; None where the mode makes no difference to it."""
    training_at, depends_at = _TRAINING_AT[name]
    given = dict(enumerate(args))
    training = kwargs.get("training", kwargs.get("train", given.get(training_at)))
    if name == "batch_norm":
        matters = kwargs.get("running_mean", given.get(depends_at)) is not None
    else:
        matters = bool(kwargs.get("p", given.get(depends_at, 0.5)))
    return bool(training) if matters and isinstance(training, bool) else None
