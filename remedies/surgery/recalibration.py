"""Statistics of recent training batches under the weights of now, for the evaluation to come."""

from __future__ import annotations

import copy
import random
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from remedies.surgery.running import WINDOW


class Recalibration:
    """Before each evaluation, runs the last training batches through a copy of the model.

    The copy is in training mode as the model was, its norms average over the batches, and what
    they find goes to the norms of the model. Nothing else of the program is touched: not the
    model's other state, which the copy has for itself, nor any random generator. Where a model
    cannot be copied, or is not called as a whole, the norms keep what they have.

    Args:
        root: The model.
    """

    def __init__(self, root: nn.Module) -> None:
        self._root = root
        self._norms: list[nn.Module] = []
        self._batches: deque[tuple[Any, Any]] = deque(maxlen=WINDOW)
        self._modes: list[bool] = []
        self._due = False

        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            if module is root:  # And not a copy of it, which has this hook, too.
                self._before(args, kwargs)

        root.register_forward_pre_hook(before, with_kwargs=True)

    def include(self, norm: nn.Module) -> None:
        """Recalibrate a norm of the model, too."""
        self._norms.append(norm)

    def _before(self, args: Any, kwargs: Any) -> None:
        if self._root.training and torch.is_grad_enabled():
            self._batches.append(tree_map_only(Tensor, _kept, (args, kwargs)))
            self._modes = [module.training for module in self._root.modules()]
            self._due = True
        elif self._due and not self._root.training:
            self._due = False
            with _same_randomness(), torch.no_grad():
                self._recalibrate()

    def _recalibrate(self) -> None:
        places = [
            place for place, module in enumerate(self._root.modules()) if self._is_ours(module)
        ]
        try:
            twin = copy.deepcopy(self._root)
            modules: list[Any] = list(twin.modules())
            for module, mode in zip(modules, self._modes, strict=True):
                module.training = mode
            trained = [place for place in places if modules[place].training]
            for place in trained:
                modules[place].reset_running_stats()
                modules[place].momentum = None
            for args, kwargs in self._batches:
                twin(*args, **kwargs)
        except Exception:
            self._norms = []  # What cannot be copied now cannot be copied later.
            return
        own: list[Any] = list(self._root.modules())
        for place in trained:
            own[place].running_mean.data.copy_(modules[place].running_mean)
            own[place].running_var.data.copy_(modules[place].running_var)

    def _is_ours(self, module: nn.Module) -> bool:
        return any(module is norm for norm in self._norms)


def _kept(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


@contextmanager
def _same_randomness() -> Iterator[None]:
    """Leave every random generator as it was."""
    numpy = sys.modules.get("numpy")
    states = random.getstate(), numpy.random.get_state() if numpy else None
    used = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if used else ()
    with torch.random.fork_rng(devices=devices):
        yield
    random.setstate(states[0])
    if numpy:
        numpy.random.set_state(states[1])
