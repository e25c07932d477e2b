"""Watches what reaches each layer in the backward pass, over depth and over time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.hooks import RemovableHandle

from probes.tap.dense import is_plain
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector, first_tensor
from probes.tap.unrecorded import unrecorded

_MOST_STEPS = 256
"""Steps back in time that are followed through a recurrent layer."""
_MOST_SAMPLES = 16


class LayerGradientWatch:
    """Looks at the gradient of the loss with respect to the output of every layer with weights.

    Args:
        tree: Names the modules.
        collector: Takes, of a layer's 1st, 2nd, 4th, ... call in a step, ``gradient.call1``,
            ``gradient.call2``, ...: the Euclidean norm of the gradient of its output; and
            ``gradient.time`` of a plain recurrent layer (see `through_time`), with
            ``gradient.length``.
    """

    def __init__(self, tree: ModuleTree, collector: Collector) -> None:
        self._tree = tree
        self._collector = collector
        self._handle: RemovableHandle | None = None
        self._calls: dict[str, int] = {}

    def switch_on(self) -> None:
        """Watch the layers in the next step."""
        self._calls = {}
        if self._handle is None:
            self._handle = register_module_forward_hook(self._leave)

    def switch_off(self) -> None:
        """Watch no more."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if module._modules or not module._parameters or not torch.is_grad_enabled():
            return
        name = self._tree.name(module)
        tensor = first_tensor(output)
        if name is None or tensor is None or not is_plain(tensor) or not tensor.requires_grad:
            return
        if torch._C._current_graph_task_id() != -1:
            return  # What checkpointing computes a second time.
        call = self._calls[name] = self._calls.get(name, 0) + 1
        if call & (call - 1):
            return
        with contextlib.suppress(Exception), unrecorded():
            tensor.register_hook(self._look(name, call))  # type: ignore[no-untyped-call]
            if call == 1 and type(module) is nn.RNN:
                self._collector.add("train", name, through_time(module, tensor.detach()))

    def _look(self, name: str, call: int) -> Callable[[Tensor], None]:
        def look(gradient: Tensor) -> None:
            if self._handle is None or not is_plain(gradient):
                return  # Another step's backward pass.
            with unrecorded():
                norm = torch.linalg.vector_norm(gradient.detach().float())
                self._collector.add("train", name, {f"gradient.call{call}": norm})

        return look


def through_time(layer: nn.RNN, outputs: Tensor) -> dict[str, Tensor | float]:
    """What is left of a gradient at the end of a sequence when it comes to its beginning.

    It is followed back through the last layer's states, as they are: no pass is run again.

    Args:
        layer: A plain recurrent layer.
        outputs: Its output: (time, batch, directions * hidden), batch first where the layer is.

    Returns:
        ``gradient.time``: norm at the beginning over norm at the end; ``gradient.length``: the
        number of steps, at most 256. Nothing for packed sequences.
    """
    if outputs.dim() != 3:
        return {}
    states = outputs if layer.batch_first else outputs.transpose(0, 1)
    states = states[:_MOST_SAMPLES, -_MOST_STEPS:, : layer.hidden_size].float()
    weight = getattr(layer, f"weight_hh_l{layer.num_layers - 1}").detach().float()
    # The signs of the last states: neither random nor the same for all units.
    gradient = torch.where(states[:, -1] > 0, 1.0, -1.0)
    start = gradient.norm()
    for step in range(states.shape[1] - 1, 0, -1):
        here = states[:, step]
        slope = 1 - here**2 if layer.nonlinearity == "tanh" else (here > 0).float()
        gradient = (gradient * slope) @ weight
    return {"gradient.time": gradient.norm() / start, "gradient.length": float(states.shape[1])}
