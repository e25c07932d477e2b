"""One optimizer that makes the steps of another."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import LBFGS, Optimizer

_USUAL: dict[str, dict[str, Any]] = {
    "adamw": {"lr": 1e-3, "weight_decay": 0.01},
    "sgd": {"lr": 0.05, "momentum": 0.9},
}


class StandInOptimizer:
    """Has the steps of an optimizer made by another one over the same parameter groups.

    The script goes on to hold the optimizer that it made; its hooks, schedules and
    ``zero_grad`` work as before. A rate that a schedule changes acts on the stand-in in
    proportion to the group's first one.

    Args:
        optimizer: Gets another ``step``. It may be in the middle of its construction.
        kind: ``adamw`` or ``sgd``.
        making: Is not empty while the stand-in itself is made.
        tell: Called at the first step.
    """

    def __init__(
        self, optimizer: Optimizer, kind: str, making: list[bool], tell: Callable[[], None]
    ) -> None:
        self._kind = kind
        self._making = making
        self._tell = tell
        self._stand_in: Optimizer | None = None
        self._first_rates: list[float] = []
        if isinstance(optimizer, LBFGS):
            return
        taken = type(optimizer).step

        def step(self_: Optimizer, closure: Any = None, *args: Any, **kwargs: Any) -> Any:
            if getattr(self_, "grad_scale", None) is not None:
                return taken(self_, closure, *args, **kwargs)
            return self._step(self_, closure)

        # A method, which schedulers expect it to be.
        optimizer.step = types.MethodType(step, optimizer)  # type: ignore[method-assign]

    def _step(self, optimizer: Optimizer, closure: Any) -> Any:
        stand_in = self._stand_in or self._make(optimizer)
        while len(stand_in.param_groups) < len(optimizer.param_groups):
            self._adopt(stand_in, optimizer.param_groups[len(stand_in.param_groups)])
        usual = float(_USUAL[self._kind]["lr"])
        for group, own, first in zip(
            optimizer.param_groups, stand_in.param_groups, self._first_rates, strict=True
        ):
            own["params"] = group["params"]
            own["lr"] = usual * float(group["lr"]) / first if first else usual
        self._tell()
        return stand_in.step(closure)

    def _make(self, optimizer: Optimizer) -> Optimizer:
        kinds: dict[str, Callable[..., Optimizer]] = {
            "adamw": torch.optim.AdamW,
            "sgd": torch.optim.SGD,
        }
        groups = [{"params": list(group["params"])} for group in optimizer.param_groups]
        self._making.append(True)
        try:
            self._stand_in = kinds[self._kind](groups, **_USUAL[self._kind])
        finally:
            self._making.pop()
        self._first_rates = [_planned(group) for group in optimizer.param_groups]
        return self._stand_in

    def _adopt(self, stand_in: Optimizer, group: dict[str, Any]) -> None:
        stand_in.add_param_group({"params": list(group["params"])})
        self._first_rates.append(_planned(group))


def _planned(group: dict[str, Any]) -> float:
    """The rate that a schedule departs from; the present one without a schedule."""
    return float(group.get("initial_lr", group["lr"]))
