"""Finds states that go around in a loop and are taken out of the graph in each round."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.utils.weak import WeakTensorKeyDictionary

from probes.tap.calls import CallLog
from probes.tap.cuts import DETACHING, name_of, tensors_in
from probes.tap.guard import quietly
from probes.tap.optimizers import Optimizers
from probes.tap.owners import Owners
from probes.tap.rounds import Cut, operations, sees_several
from probes.tap.statistics import Collector
from probes.tap.wrap import wrap

_STEPS = 4
_MOST_CUTS = 128
_FEWEST_ROUNDS = 3


class RecurrenceWatch:
    """Follows, in the first steps, what is computed from a tensor that was taken out of the graph.

    Where what is computed from it is taken out at the same line again, that is a round. One counts
    where no gradient leads from its end to the rounds before, and most of the parameters on the
    way are used once: a truncation after several time steps uses them as often, and one between
    chunks has a recurrent layer or an attention that sees several positions at once.

    Args:
        optimizers: Tells the user's line.
        calls: Tells of the calls.
        owners: Names the parameters.
        collector: Takes, at ``cell@file.py:12``, the module that the state goes through and the
            line that cuts, ``recurrence.rounds`` within one backward pass, three or more;
            ``recurrence.carried``, whether the state also comes from before the last backward pass;
            and ``cut.detach`` or ``cut.data``.
    """

    def __init__(
        self, optimizers: Optimizers, calls: CallLog, owners: Owners, collector: Collector
    ) -> None:
        self._optimizers = optimizers
        self._owners = owners
        self._collector = collector
        self._on = False
        self._steps = 0
        self._forget()
        calls.listen(self._note)

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        return wrap(torch.autograd, "backward", after=self._after_backward)

    def switch_on(self) -> None:
        """Watch the calls of the next step, if it is one of the first."""
        self._on = self._steps < _STEPS
        self._steps += 1
        self._forget()

    def switch_off(self) -> None:
        """Watch no more."""
        self._on = False
        self._forget()

    def _forget(self) -> None:
        self._opened = operations()
        self._cuts = 0
        self._several = -1
        self._from: MutableMapping[Tensor, frozenset[Cut]] = WeakTensorKeyDictionary()
        self._given: dict[int, Tensor] = {}
        self._found: dict[tuple[str, str], Cut] = {}

    @quietly
    def _after_backward(self, *args: Any) -> None:
        if not self._on or torch._C._current_graph_task_id() != -1:
            return
        for (name, line), cut in self._found.items():
            rounds, carried = float(cut.rounds), float(cut.carried)
            row = {"recurrence.rounds": rounds, "recurrence.carried": carried, f"cut.{name}": 1.0}
            self._collector.add("train", f"{self._where(cut)}@{line}", row)
        self._forget()

    @quietly
    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or torch._C._current_graph_task_id() != -1:
            return
        given = list(tensors_in((*args, *kwargs.values())))
        origins = frozenset(cut for value in given for cut in self._from.get(value, frozenset()))
        name = name_of(func)
        if sees_several(name, args, kwargs):
            self._several = operations()
        if name in DETACHING and given[0].grad_fn is not None:
            origins = self._cut(name, given[0].grad_fn, origins)
        elif origins:
            self._given.update((id(p), p) for p in given if p.is_leaf and p.requires_grad)
        if origins:
            changed = given[0] if name == "__setitem__" else None
            for value in tensors_in((changed, result)):
                if value.is_floating_point():
                    self._from[value] = origins

    def _cut(self, name: str, state: Node, origins: frozenset[Cut]) -> frozenset[Cut]:
        """Take note of a cut; says what its result comes from."""
        line = self._optimizers.line()
        if line is None or self._cuts >= _MOST_CUTS:
            return origins
        self._cuts += 1
        now = operations()
        before = {origin for origin in origins if origin.line == line}
        latest = sorted(before, key=lambda origin: origin.made, reverse=True)
        rounds = (cut.followed_by(state, now) for cut in latest if self._several <= cut.made)
        cut = next(filter(None, rounds), None)
        if cut is None:
            cut = Cut(line, now, now, state._sequence_nr() < self._opened)
        elif cut.rounds >= _FEWEST_ROUNDS:
            self._found[name, line] = cut
        return (origins - before) | {cut}

    def _where(self, cut: Cut) -> str:
        """The module that the state goes through; empty where there are several."""
        self._owners.refresh()
        used = cut.used or ()
        through = [p for key, p in self._given.items() if key in used]
        names = sorted(name for p in through if (name := self._owners.name(p)) is not None)
        paths = [name.split(".")[:-1] for name in names]
        shared = [parts[0] for parts in zip(*paths, strict=False)]
        while shared and any(path[: len(shared)] != shared for path in paths):
            shared.pop()
        return ".".join(shared) if any(paths) else next(iter(names), "")
