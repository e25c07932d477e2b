"""Evaluates a program with averages of its weights, and trains it as if there were none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim import Optimizer

from probes.tap.wrap import wrap

_WARM_UP = 10
"""Steps after which the average reaches back so far that its first values do not matter."""
_AT_EACH_STEP = 0.5
"""Share of the steps from which forward passes without gradient belong to the training."""


class AveragedWeights:
    """Keeps exponential moving averages and puts them in the place of the weights in evaluation.

    An evaluation is a forward pass of an outermost module in eval mode, or without gradient. From
    ``model.eval()`` on the averages stay in place, so that what is saved then are they; after a
    pass in training mode they are taken out at once. Before anything is trained (``model.train()``,
    a forward pass with gradient, a backward pass, an optimizer step) the weights are back, bit for
    bit. Where such passes come with every other step or more often, they make targets or actions
    for the training (self-distillation, reinforcement learning) and are left alone. So are passes
    with gradient in eval mode where the first step trained that way.

    Args:
        decay: Weight of the old average in the new one, per step; less in the first steps.
        tell: Called when averages are used, with the number of tensors.
    """

    def __init__(self, decay: float, tell: Callable[[int], None]) -> None:
        self._decay = decay
        self._tell = tell
        self._averages: dict[int, tuple[Tensor, Tensor]] = {}
        self._roots: dict[int, nn.Module] = {}
        self._evaluated: dict[int, list[int]] = {}
        self._weights: list[tuple[Tensor, Tensor, int]] = []
        self._in_place: set[int] = set()
        self._pending: set[int] = set()
        self._trained_in_eval: set[int] = set()
        self._depth = 0
        self._steps = 0

    def install(self) -> Iterator[Callable[[], None]]:
        """Begin; gives what undoes it."""
        yield register_module_forward_pre_hook(self._enter).remove
        yield register_module_forward_hook(self._leave, always_call=True).remove
        yield wrap(torch.autograd, "backward", before=self._before_backward)
        yield wrap(nn.Module, "train", before=self._before_mode)
        yield self.take_out

    def before_step(self, optimizer: Optimizer) -> None:
        """The optimizer shall step from the weights themselves."""
        self.take_out()

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Take the new weights into the averages."""
        self._steps += 1
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        buffers = [b for root in self._roots.values() for b in root.buffers()]
        tensors = {id(t): t for t in (*weights, *buffers) if t.is_floating_point()}
        known = [self._averages[key] for key in tensors if key in self._averages]
        if known:
            share = 1 - min(self._decay, (1 + self._steps) / (_WARM_UP + self._steps))
            now, then = zip(*known, strict=True)
            torch._foreach_lerp_(list(then), [t.detach() for t in now], share)
        for key, tensor in tensors.items():
            # A mask of infinities has no average.
            if key not in self._averages and bool(tensor.isfinite().all()):
                self._averages[key] = tensor, tensor.detach().clone()

    @torch.no_grad()
    def take_out(self) -> None:
        """Put the weights back; where the script wrote others meanwhile, these stay."""
        for tensor, weights, version in self._weights:
            if tensor._version == version:
                tensor.data.copy_(weights)  # by .data: autograd shall not take it for a change
        self._weights, self._in_place = [], set()

    @torch.no_grad()
    def _put_in(self, root: nn.Module) -> None:
        tensors = [*root.parameters(), *(() if root.training else root.buffers())]
        for tensor in tensors:
            if id(tensor) in self._averages and id(tensor) not in self._in_place:
                self._in_place.add(id(tensor))
                self._weights.append((tensor, tensor.detach().clone(), tensor._version))
                tensor.data.copy_(self._averages[id(tensor)][1])
        if self._in_place:
            self._tell(len(self._in_place))

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._depth += 1
        if self._depth > 1 or isinstance(module, torch.jit.ScriptModule):
            return
        self._roots.setdefault(id(module), module)
        if torch.is_grad_enabled() and not self._steps and not module.training:
            self._pending.add(id(module))
        if self._evaluates(module) and self._is_rare(module):
            self._put_in(module)
        elif torch.is_grad_enabled():
            self.take_out()

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and (module.training or id(module) in self._trained_in_eval):
            self.take_out()

    def _evaluates(self, module: nn.Module) -> bool:
        in_eval = not module.training and id(module) not in self._trained_in_eval
        return in_eval or not torch.is_grad_enabled()

    def _is_rare(self, module: nn.Module) -> bool:
        """Note that a module is evaluated after this step; whether it is after few of them."""
        steps = self._evaluated.setdefault(id(module), [])
        if not steps or steps[-1] != self._steps:
            steps.append(self._steps)
        return len(steps) <= _AT_EACH_STEP * self._steps

    def _before_backward(self, *args: Any, **kwargs: Any) -> None:
        self._trained_in_eval |= self._pending if not self._steps else set()
        self.take_out()

    def _before_mode(self, module: nn.Module, mode: bool = True) -> None:
        if mode:
            self.take_out()
        elif id(module) in self._roots and id(module) not in self._trained_in_eval:
            if module.training and self._is_rare(module):
                module.training = False  # as it will be: its buffers are averaged, too
                self._put_in(module)
