"""Counts the steps of a loop that makes them without a torch optimizer."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves

from probes.tap.guard import Guard
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector
from probes.tap.terms import parameters_below
from probes.tap.transforms import bare, gradient_levels, outside_transforms
from probes.tap.updates import UpdateWatch
from probes.trace import Event

_IDLE = 64
"""Backward passes after which an optimizer that never made a step is taken for unused."""
_OURS = ("probes.", "remedies.")


class HandWatch:
    """Takes every backward pass for a step, for as long as no torch optimizer makes any.

    That is what there is to see of a loop that updates its weights itself: ``p -= lr * p.grad``,
    or new tensors made with what ``torch.autograd.grad`` or `torch.func` gave. The step ends with
    the backward pass; what the update changed is seen when the next one begins.

    Args:
        tree: Names the parameters of modules.
        sources: Names those that are variables of the program.
        emit: Takes the signals of `UpdateWatch`.
        step: Gives the number of steps done so far.
        probing: Tells whether the step under way is probed.
        begin: Told of the losses that ``torch.autograd.grad`` is called with.
        end: Called when a step is done.
        guard: Keeps errors away from the program.
    """

    def __init__(
        self,
        tree: ModuleTree,
        sources: Sources,
        emit: Callable[[Event], None],
        step: Callable[[], int],
        probing: Callable[[], bool],
        begin: Callable[[Any], None],
        end: Callable[[], None],
        guard: Guard,
    ) -> None:
        self._tree = tree
        self._sources = sources
        self._emit = emit
        self._begin = begin
        self._end = end
        self._step = step
        self.probing = probing
        self._collector = Collector()
        self._updates = UpdateWatch(self._collector)
        self._leaves = guard(self._find_leaves)
        self._look = guard(self._look_at_gradients)
        self._finish = guard(self._finish_update)
        self._optimizers = 0
        self._passes = 0
        self._stepped = False
        self._within = False
        self._probed_at: int | None = None

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        # The method, too: within a call that function modes see, they cannot be taken off.
        places: list[tuple[Any, str]] = [
            (Tensor, "backward"), (torch.autograd, "backward"), (torch.autograd, "grad"),
        ]  # fmt: skip
        originals = [getattr(owner, name) for owner, name in places]
        for (owner, name), original in zip(places, originals, strict=True):
            setattr(owner, name, self._watched(original))

        def undo() -> None:
            for (owner, name), original in zip(places, originals, strict=True):
                setattr(owner, name, original)

        return undo

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def watched(roots: Any, *args: Any, **kwargs: Any) -> Any:
            if self._stepped or self._within or torch.compiler.is_compiling():
                return function(roots, *args, **kwargs)
            call = self._around if self._counts() else self._plainly
            self._within = True
            try:
                result = call(function, roots, args, kwargs)
            finally:
                self._within = False
            if call == self._around:
                self._end()
            return result

        return watched

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Wait for the steps of an optimizer from now on."""
        self._optimizers += 1

    def optimizer_stepped(self) -> None:
        """Count no more backward passes: the optimizer's steps are the steps."""
        self._stepped = True

    def _plainly(
        self,
        function: Callable[..., Any],
        roots: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        return function(roots, *args, **kwargs)

    def _around(
        self,
        function: Callable[..., Any],
        roots: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        self._finish()
        if function.__name__ == "grad":  # Of the other kind, losses are told of anyhow.
            self._begin(roots)
        probed = self.probing()
        leaves = self._leaves(roots) if probed else None
        result = function(roots, *args, **kwargs)
        if probed:
            inputs = args[0] if args else kwargs.get("inputs")
            self._look(_pairs(inputs, result) or [(leaf, leaf.grad) for leaf in leaves or ()])
        return result

    def _counts(self) -> bool:
        """Whether a call is the program's own, and ends a step."""
        if torch._C._current_graph_task_id() != -1 or gradient_levels() > 1:
            return False  # within another one
        if str(sys._getframe(2).f_globals.get("__name__", "")).startswith(_OURS):
            return False
        self._passes += 1
        return not self._optimizers or self._passes > _IDLE

    def _find_leaves(self, roots: Any) -> list[Tensor]:
        """The tensors that a backward pass from here gives a gradient to."""
        tensors = [roots] if isinstance(roots, Tensor) else list(roots)
        nodes = [t.grad_fn for t in map(bare, tensors) if t.grad_fn is not None]
        return list({id(leaf): leaf for leaf in parameters_below(nodes)}.values())

    def _look_at_gradients(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        names = self._sources.tensors() | self._tree.parameter_names()
        with outside_transforms():
            self._updates.look_at([(bare(p), bare(g)) for p, g in pairs if g is not None], names)
        self._probed_at = self._step()

    def _finish_update(self) -> None:
        """Look at what the update changed that came after the backward pass before this one."""
        if self._probed_at is None:
            return
        with outside_transforms(), torch._C.DisableTorchFunction():
            # Where new tensors take the place of the old ones, there is no update to see.
            if self._updates.changed:
                self._updates.after()
            self._updates.forget()
            for event in self._collector.drain(self._probed_at):
                self._emit(event)
        self._probed_at = None


def _pairs(inputs: Any, gradients: Any) -> list[tuple[Any, Any]]:
    """What ``torch.autograd.grad`` was asked for, with its gradients."""
    pairs = zip(tree_leaves(inputs), tree_leaves(gradients), strict=False)
    return [(p, g) for p, g in pairs if isinstance(p, Tensor) and isinstance(g, Tensor)]
