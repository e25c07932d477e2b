"""Watches activation checkpointing: are the gradients those that would be had without it?"""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.utils.checkpoint
from torch import nn
from torch.optim import Optimizer

from probes.tap.calls import CallLog
from probes.tap.locate import Sources, first_argument
from probes.tap.modules import ModuleTree
from probes.tap.parity import Call, Parity, gradients_aside, measure, nobody_watching
from probes.tap.restore import Restorer
from probes.tap.standins import StandIns
from probes.tap.statistics import Collector
from probes.tap.transforms import is_transformed
from probes.tap.unrecorded import unrecorded
from probes.trace import Event

_STEPS = 3
_MOST_SEGMENTS = 64
"""Segments of one step that are looked at; each costs about four runs of its function."""


class CheckpointWatch:
    """Runs checkpointed segments once plainly and once checkpointed, and compares the gradients.

    Only in the first steps: what is lost does not depend on the weights. Both runs begin at
    stand-ins for the tensors of the program, with the same random state and the same cotangent;
    afterwards everything is as it was. Functions may be run again by contract: that is what
    checkpointing does with them.

    Signals, at ``module@file.py:12`` (the module that is at work, the line that calls):
    ``checkpoint.difference`` and ``checkpoint.noise``, the Euclidean norm of the difference of
    the gradients over that of the plain one, with checkpointing and between two plain runs;
    ``checkpoint.lost``, the number of parameters that get a gradient plainly but none through the
    checkpoint; ``checkpoint.reentrant``, 0 or 1. At ``module@file.py:12|parameter``:
    ``checkpoint.lost_share``, the share of the gradient's norm that it would have, or that the
    lost tensor would have that it makes.

    Args:
        tree: Names modules and parameters.
        sources: Tells the user's lines.
        calls: Is kept quiet meanwhile.
        collector: Takes the signals.
        emit: Takes a note where gradients cannot be compared.
    """

    def __init__(
        self,
        tree: ModuleTree,
        sources: Sources,
        calls: CallLog,
        collector: Collector,
        emit: Callable[[Event], None],
    ) -> None:
        self._tree = tree
        self._sources = sources
        self._calls = calls
        self._collector = collector
        self._emit = emit
        self._on = False
        self._plain = False
        self._stand_ins: StandIns | None = None
        self._steps = 0
        self._segments = 0
        self._told: set[str] = set()
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        package = torch.utils.checkpoint
        original = package.checkpoint

        @functools.wraps(original)
        def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling():
                return original(function, *args, **kwargs)
            call = Call(original, function, args, kwargs)
            if self._plain:
                return function(*args, **call.own)
            if self._stand_ins is not None:  # within a segment that is looked at
                function = self._stand_ins.within(function)
            elif self._is_due():
                self._look_at(call)
            return original(function, *args, **kwargs)

        package.checkpoint = checkpoint
        return lambda: setattr(package, "checkpoint", original)

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """Take the optimizer's parameters for such as are trained."""
        self._optimizers.add(optimizer)

    def switch_on(self) -> None:
        """Look at the segments of the next step, if it is one of the first."""
        self._on = self._steps < _STEPS

    def switch_off(self) -> None:
        """Look at no more segments."""
        self._steps += self._segments > 0
        self._on, self._segments = False, 0

    def _is_due(self) -> bool:
        return (
            self._on
            and self._segments < _MOST_SEGMENTS
            and not is_transformed()
            and torch.is_grad_enabled()
            and torch._C._current_graph_task_id() == -1  # no recomputation in a backward pass
        )

    def _look_at(self, call: Call) -> None:
        place = self._place(call.function)
        if place is None:
            return
        self._segments += 1
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        trained = {id(p): p for group in groups for p in group["params"]}
        try:
            with torch._C.DisableTorchFunction():
                held = [*call.args, *call.kwargs.values()]
                restorer = Restorer(call.function, held, self._tree.alive())
                self._stand_ins = StandIns(restorer.keep)
            with nobody_watching(self._calls), gradients_aside(trained.values()):
                gradients = measure(call, self._stand_ins, restorer.restore, self._plainly())
        except Exception as error:
            first = str(error).partition("\n")[0]
            self._note(f"gradients through the checkpoint at {place} were not compared: {first}")
        else:
            with unrecorded():
                parity = gradients.compare(trained)
            if parity is not None:
                self._record(place, parity, call.reentrant)
        finally:
            self._stand_ins = None

    @contextlib.contextmanager
    def _plainly(self) -> Iterator[None]:
        self._plain = True
        try:
            yield
        finally:
            self._plain = False

    def _place(self, function: Callable[..., Any]) -> str | None:
        """Where a segment is; None where its module has no name yet."""
        frames = self._sources.stack()
        line = self._sources.place(frames[0].f_code, frames[0].f_lineno) if frames else ""
        owners = [first_argument(frame) for frame in frames]
        modules = [m for m in (*_holders(function), *owners) if isinstance(m, nn.Module)]
        names = [name for module in modules if (name := self._tree.name(module)) is not None]
        return None if modules and not names else f"{names[0] if names else ''}@{line}"

    def _record(self, place: str, parity: Parity, reentrant: bool) -> None:
        found = {
            "checkpoint.difference": parity.difference,
            "checkpoint.noise": parity.noise,
            "checkpoint.lost": float(len(parity.lost)),
            "checkpoint.reentrant": float(reentrant),
        }
        self._collector.add("train", place, found)
        names = self._tree.parameter_names()
        for key, share in parity.lost.items():
            where = f"{place}|{names.get(key, 'a parameter')}"
            self._collector.add("train", where, {"checkpoint.lost_share": share})

    def _note(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._emit({"event": "note", "text": text})


def _holders(function: Any) -> list[Any]:
    """A callable, what it is bound to, and what its closure holds."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        closure = inspect.getclosurevars(function).nonlocals.values()
    except TypeError:
        closure = {}.values()
    return [function, getattr(function, "__self__", None), *closure]
