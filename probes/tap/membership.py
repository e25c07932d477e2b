"""Which parameters the loss depends on, and which ones an optimizer holds."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from probes.tap.cuts import CutWatch
from probes.tap.guard import quietly
from probes.tap.optimizers import Optimizers, held_by
from probes.tap.owners import Owners
from probes.tap.statistics import Collector
from probes.tap.terms import LossTerm, parameters_below
from probes.tap.unrecorded import unrecorded
from probes.tap.wrap import all_undone, wrap


class MembershipWatch:
    """Compares the leaves of every loss with what the optimizers hold.

    Signals of a parameter that a loss depends on and no optimizer holds: ``outside.elements``, its
    size; ``outside.fresh``, whether it is as it was initialised in this run (not loaded, not
    trained before); ``outside.late``, whether it was made after the optimizer; ``outside.moved``,
    whether it has changed all the same. Of one that an optimizer holds and no loss depends on:
    ``idle.elements``, ``idle.fresh``, ``idle.moved`` and ``idle.frozen``, whether it asks for no
    gradient; and at ``parameter@file.py:12`` ``cut.detach`` and the like for the calls that keep
    it out (`CutWatch`), as their number in the order in which they are made. Of one that is held,
    that a loss depends on and whose gradient is all zeros: ``blocked.elements``,
    ``blocked.fresh`` and ``blocked.zeros``, whether it is all zeros itself. At the optimizer:
    ``held.elements``, and ``held.reached`` by the loss.

    Args:
        owners: Names the parameters.
        optimizers: Knows the optimizers.
        cuts: Knows what is kept out of the graph, and where.
        collector: Takes the signals.
    """

    def __init__(
        self, owners: Owners, optimizers: Optimizers, cuts: CutWatch, collector: Collector
    ) -> None:
        self._owners = owners
        self._optimizers = optimizers
        self._cuts = cuts
        self._collector = collector
        self._on = False
        self._leaves: dict[int, Tensor] = {}
        self._told: set[int] = set()
        self._blocked: set[int] = set()
        self._early: list[weakref.ref[Optimizer]] = []
        self._used: dict[int, weakref.ref[Tensor]] = {}
        self._first: dict[int, tuple[weakref.ref[Tensor], float]] = {}

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = [
            wrap(nn.Module, "load_state_dict", after=self._loaded),
            register_optimizer_step_pre_hook(self._before_step).remove,
            register_optimizer_step_post_hook(self._after_step).remove,
        ]
        return all_undone(undo)

    @quietly
    def _loaded(self, module: Any) -> None:
        if isinstance(module, nn.Module):
            self._use(module.parameters())

    def _use(self, parameters: Iterable[Tensor]) -> None:
        for parameter in parameters:
            self._used[id(parameter)] = weakref.ref(parameter)

    def switch_on(self) -> None:
        """Look at the losses and optimizers of the next step."""
        self._on, self._leaves, self._told, self._early = True, {}, set(), []
        self._blocked = set()

    def switch_off(self) -> None:
        """Look no more."""
        self._on, self._leaves, self._early = False, {}, []

    @quietly
    def look_at(self, loss: Tensor, terms: list[LossTerm]) -> None:
        """Find what a loss depends on."""
        if self._on and loss.grad_fn is not None:
            self._leaves |= {id(leaf): leaf for leaf in parameters_below([loss.grad_fn])}

    @quietly
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._on and not self._leaves:
            # One of several for the same loss, after the one that ended the step before.
            self._early.append(weakref.ref(optimizer))
        elif self._on:
            early, self._early = [reference() for reference in self._early], []
            if id(optimizer) not in self._told:
                self._look_for_zeros(optimizer)
            for due in (optimizer, *early):
                if due is not None and id(due) not in self._told:
                    self._compare(due)

    @quietly
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._on and self._leaves and id(optimizer) not in self._told:
            self._compare(optimizer)  # A closure computed the loss within the step.

    def _compare(self, optimizer: Optimizer) -> None:
        self._told.add(id(optimizer))
        known = self._optimizers.find(optimizer)
        if known is None:
            return
        where = self._optimizers.tell(optimizer)
        self._owners.refresh()
        with unrecorded():
            held = held_by(optimizer)
            everywhere = {id(p) for known in self._optimizers.alive for p in known.parameters}
            for key, leaf in self._leaves.items():
                if key not in everywhere and key not in self._told:
                    self._told.add(key)
                    self._outside(leaf, known.earlier)
            idle = [p for p in held if id(p) not in self._leaves and not _has_gradient(p)]
            for parameter in idle:
                self._idle(parameter)
            sizes = {id(p): float(p.numel()) for p in held}
            reached = sum(size for key, size in sizes.items() if key in self._leaves)
            found = {"held.elements": sum(sizes.values()), "held.reached": reached}
            self._collector.add("train", where, found)
            # Whatever happens to it later: it has been trained.
            self._use(p for p in held if id(p) in self._leaves and id(p) not in self._blocked)

    def _outside(self, leaf: Tensor, earlier: set[int]) -> None:
        lasting = id(leaf) in self._first and self._first[id(leaf)][0]() is leaf
        moved = self._moved(leaf)
        where = self._owners.name(leaf)
        if where is None or not (lasting or isinstance(leaf, nn.Parameter)):
            return  # An input that asks for a gradient is no parameter.
        found = {
            "outside.elements": float(leaf.numel()),
            "outside.fresh": self._fresh(leaf),
            "outside.late": float(id(leaf) not in earlier),
            "outside.moved": moved,
        }
        self._collector.add("train", where, found)

    def _idle(self, parameter: Tensor) -> None:
        where = self._owners.name(parameter)
        if where is not None:
            found = {
                "idle.elements": float(parameter.numel()),
                "idle.fresh": self._fresh(parameter),
                "idle.frozen": float(not parameter.requires_grad),
                "idle.moved": self._moved(parameter),
            }
            self._collector.add("train", where, found)
            for place, (kind, line) in enumerate(self._cuts.behind(parameter).items(), start=1):
                self._collector.add("train", f"{where}@{line}", {f"cut.{kind}": float(place)})

    def _look_for_zeros(self, optimizer: Optimizer) -> None:
        """Tell which gradients are all zeros, where they are not zeros because all were reset."""
        reached = [p for p in held_by(optimizer) if id(p) in self._leaves and p.grad is not None]
        with unrecorded():
            blocked = [p for p in reached if not _has_gradient(p)]
            zeros = [not bool(p.any()) for p in blocked]
            if not blocked or (len(blocked) == len(reached) and not any(zeros)):
                return
            self._owners.refresh()
            for parameter, is_zero in zip(blocked, zeros, strict=True):
                where = self._owners.name(parameter)
                self._blocked.add(id(parameter))
                if where is not None:
                    found = {
                        "blocked.elements": float(parameter.numel()),
                        "blocked.fresh": self._fresh(parameter),
                        "blocked.zeros": float(is_zero),
                    }
                    self._collector.add("train", where, found)

    def _fresh(self, parameter: Tensor) -> float:
        used = self._used.get(id(parameter))
        return float((used is None or used() is not parameter) and self._owners.was_made(parameter))

    def _moved(self, parameter: Tensor) -> float:
        total = float(parameter.detach().double().sum())
        reference, first = self._first.get(id(parameter), (None, total))
        if reference is None or reference() is not parameter:
            first = total
            self._first[id(parameter)] = weakref.ref(parameter), total
        return float(total != first)


def _has_gradient(parameter: Tensor) -> bool:
    gradient = parameter.grad
    return gradient is not None and (gradient.layout != torch.strided or bool(gradient.any()))
