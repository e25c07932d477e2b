"""Watches how much dropout throws away in training, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from probes.tap.calls import CallLog
from probes.tap.guard import quietly
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.noise_places import module_at_work
from probes.tap.statistics import Collector

DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout")
"""Functions that take the share as their second argument, ``p``, and then ``training``."""


def share_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """The share that a call of such a function throws away; 0 where it does nothing."""
    given = dict(enumerate(args))
    training = kwargs.get("training", kwargs.get("train", given.get(2, True)))
    share = kwargs.get("p", given.get(1, 0.5))
    return float(share) if training is True and isinstance(share, (int, float)) else 0.0


class DropoutWatch:
    """Notes the share of each dropout at work in the forward passes of training.

    Signal ``dropout.share``, at the path of a dropout module, or at ``module@file.py:12`` for a
    call of the function.

    Args:
        tree: Names the modules.
        sources: Tells the user's lines.
        calls: Tells of the calls.
        collector: Takes the signal.
    """

    def __init__(
        self, tree: ModuleTree, sources: Sources, calls: CallLog, collector: Collector
    ) -> None:
        self._tree = tree
        self._sources = sources
        self._collector = collector
        self._on = False
        self._seen: set[str] = set()
        calls.listen(self._note, DROPOUTS)

    def switch_on(self) -> None:
        """Watch the next step."""
        self._on, self._seen = True, set()

    def switch_off(self) -> None:
        """Watch no more."""
        self._on = False

    @quietly
    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or not torch.is_grad_enabled():
            return
        share = share_of(args, kwargs)
        module = module_at_work(self._tree)
        if share <= 0 or module is None:
            return
        name = self._tree.name(module)
        is_module = "Dropout" in type(module).__name__
        where = f"{name}" if is_module else f"{name}@{self._sources.line()}"
        if where not in self._seen:
            self._seen.add(where)
            self._collector.add("train", where, {"dropout.share": share})
