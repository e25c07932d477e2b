"""Watches activations that can go dead or saturate, wherever and however they are called."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary

from probes.tap.calls import CallLog
from probes.tap.dense import is_plain
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector, first_tensor
from probes.tap.unit_statistics import Silence, saturation
from probes.tap.unrecorded import unrecorded
from probes.trace import Event

OPERATIONS = {
    "relu": "rectified", "relu_": "rectified", "relu6": "rectified", "clamp": "rectified",
    "clamp_": "rectified", "clamp_min": "rectified", "clamp_min_": "rectified",
    "clip": "rectified", "rnn_relu": "rectified", "rnn_relu_cell": "rectified",
    "sigmoid": "sigmoid", "sigmoid_": "sigmoid", "hardsigmoid": "sigmoid",
    "tanh": "tanh", "tanh_": "tanh", "hardtanh": "tanh",
    "rnn_tanh": "tanh", "rnn_tanh_cell": "tanh",
}  # fmt: skip
"""Torch functions that are looked at, and what kind of activation they are."""
MIXING = {
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "matmul", "__matmul__", "mm", "bmm", "addmm", "einsum", "bilinear",
    "baddbmm", "rnn_tanh", "rnn_relu", "lstm", "gru", "rnn_tanh_cell", "rnn_relu_cell",
    "lstm_cell", "gru_cell", "multi_head_attention_forward",
}  # fmt: skip
"""Functions with weights: what comes before one of them in a forward pass is hidden."""
_CLAMPS = ("clamp", "clamp_", "clamp_min", "clamp_min_", "clip")
_CHANNELS_FIRST = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm")


class ActivationWatch:
    """Looks at the units of every activation in training.

    A place is named by the activation's module; where there is none, or several layers share it,
    by the layer that feeds it; else by the line. It is told (``activation`` event) once a layer
    has come after it: what a model puts out is not hidden.

    Args:
        tree: Names the modules.
        sources: Tells the user's lines.
        calls: Tells of the calls.
        collector: Takes ``unit.dead`` (see `Silence`) of rectifiers and ``unit.saturated`` (see
            `saturation`) of sigmoids and tanh, and ``unit.count``.
        emit: Takes the events.
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
        self._collector = collector
        self._emit = emit
        self._handles: list[RemovableHandle] = []
        self._stack: list[nn.Module] = []
        self._makers: Any = WeakIdKeyDictionary()
        self._feeders: dict[str, str | None] = {}
        self._looks: dict[str, int] = {}
        self._silence: dict[str, Silence] = {}
        self._pending: dict[str, Event] = {}
        self._told: set[str] = set()
        calls.listen(self._note, {*OPERATIONS, *MIXING})

    def switch_on(self) -> None:
        """Watch the forward passes of the next step."""
        self._looks, self._pending, self._stack = {}, {}, []
        if not self._handles:
            self._handles = [
                register_module_forward_pre_hook(self._enter),
                register_module_forward_hook(self._leave, always_call=True),
            ]

    def switch_off(self) -> None:
        """Watch no more, and let go of what was seen."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._stack = [], []
        self._makers = WeakIdKeyDictionary()

    def _enter(self, module: nn.Module, args: Any) -> None:
        if not self._stack:
            self._pending = {}
        self._stack.append(module)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        while self._stack and self._stack.pop() is not module:
            pass
        if not module._modules and module._parameters:
            tensor = first_tensor(output)
            if tensor is not None:
                self._makers[tensor] = module

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._handles:
            return
        name = getattr(func, "__name__", "")
        if name in MIXING and self._pending:
            for where, event in self._pending.items():
                if where not in self._told:
                    self._told.add(where)
                    self._emit(event)
            self._pending = {}
        if name not in OPERATIONS or not torch.is_grad_enabled():
            return
        output = first_tensor(result)
        if output is None or not args or not is_plain(output) or not output.requires_grad:
            return
        if name in _CLAMPS and not _cuts_at_zero(args, kwargs):
            return
        with contextlib.suppress(Exception):  # Nothing that is odd here may stop the program.
            self._look_at(name, args[0], output)

    def _look_at(self, name: str, given: Any, output: Tensor) -> None:
        maker = self._makers.get(given) if isinstance(given, Tensor) else None
        place = self._place(name, maker)
        if place is None:
            return
        where, event = place
        self._pending[where] = event
        look = self._looks[where] = self._looks.get(where, 0) + 1
        if look & (look - 1):  # The 1st, 2nd, 4th, 8th, ... of the calls of a loop.
            return
        channels_first = output.dim() > 3 or (
            output.dim() == 3 and type(maker).__name__.startswith(_CHANNELS_FIRST)
        )
        with unrecorded():
            rows = _rows(output.detach(), 1 if channels_first else output.dim() - 1)
            if OPERATIONS[name] == "rectified":
                silence = self._silence.setdefault(where, Silence())
                found = silence.look(rows, output.shape[0])
            else:
                found = saturation(rows, OPERATIONS[name])
        self._collector.add("train", where, found | {"unit.count": float(rows.shape[1])})

    def _place(self, name: str, maker: nn.Module | None) -> tuple[str, Event] | None:
        module = self._stack[-1] if self._stack else None
        feeder = self._tree.name(maker) if maker is not None else None
        own = self._tree.name(module) if module is not None else None
        operation = name.rstrip("_")
        kind = OPERATIONS[name]
        event = {"event": "activation", "operation": operation, "kind": kind, "layer": feeder}
        if module is not None and own and not module._modules:
            if not module._parameters:  # An activation's own module.
                first = self._feeders.setdefault(own, feeder)
                where = own if first == feeder or feeder is None else feeder
                source = self._tree.source(module)
                return where, event | {"where": where, "module": own, "source": source}
            if name.startswith("rnn_"):
                return own, event | {"where": own, "source": self._tree.source(module)}
        frame = next(iter(self._sources.stack()), None)
        if frame is None:
            return None
        source = self._sources.place(frame.f_code, frame.f_lineno)
        call = f"{operation}@{source}"
        where = feeder or f"{own or frame.f_code.co_name}@{frame.f_lineno}"
        if self._feeders.setdefault(where, call) != call:  # Two activations on one layer.
            where = f"{where}@{frame.f_lineno}"
        return where, event | {"where": where, "call": call, "source": source}


def _cuts_at_zero(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    low = args[1] if len(args) > 1 else kwargs.get("min")
    high = args[2] if len(args) > 2 else kwargs.get("max")
    return isinstance(low, int | float) and low == 0 and high is None


def _rows(output: Tensor, units_at: int) -> Tensor:
    """The values of each unit, shape (positions, units)."""
    if output.dim() < 2:
        return output.reshape(-1, 1)
    return output.movedim(units_at, -1).flatten(0, -2)
