"""Parts of a model that are held still from where the script freezes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from probes.tap.optimizers import held_by
from probes.tap.stages import Stages

if TYPE_CHECKING:
    from remedies.surgery.program import Program


class Stillness:
    """Keeps optimizers and batches from changing what is frozen.

    Args:
        targets: Paths of modules or parameters.
        program: Names modules, and knows what was frozen by an attribute.
        tell: Takes a target and what was done to it.
    """

    def __init__(
        self, targets: Iterable[str], program: Program, tell: Callable[[str, str], None]
    ) -> None:
        self._targets = tuple(targets)
        self._program = program
        self._tell = tell
        self._stages = Stages()
        self._gradients: list[tuple[Tensor, Tensor]] = []
        self._names: dict[int, str] = {}

    def made(self, optimizer: Optimizer) -> None:
        """Take note of a new optimizer."""
        self._stages.made(optimizer)

    def before_forward(self, module: nn.Module) -> None:
        """Put a target into evaluation mode if it is frozen by now."""
        name = self._program.module_name(module)
        if name not in self._targets or torch._C._current_graph_task_id() != -1:
            return
        if any(each.training for each in module.modules()) and self._is_frozen(module):
            module.eval()
            self._tell(name, "eval() before its forward pass")

    def before_step(self, optimizer: Optimizer) -> None:
        """Take the gradients of what is frozen away: a step leaves out what has none."""
        self._stages.stepped(optimizer)
        held = {id(parameter): parameter for parameter in held_by(optimizer)}
        self._gradients = []
        for target, parameter in self._frozen():
            if id(parameter) in held and parameter.grad is not None:
                self._gradients.append((parameter, parameter.grad))
                parameter.grad = None
                self._tell(target, "left out of the optimizer's steps")

    def after_step(self, optimizer: Optimizer) -> None:
        """Give the gradients back, as the script left them."""
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        self._gradients = []

    def _frozen(self) -> Iterator[tuple[str, Tensor]]:
        if len(self._names) != sum(1 for root in self._program.roots for _ in root.parameters()):
            self._names = self._program.parameter_names()
        for root in self._program.roots:
            for module in root.modules():
                name = self._program.module_name(module)
                if name in self._targets:
                    flagged = self._is_flagged(module)
                    for parameter in module.parameters():
                        if flagged or not parameter.requires_grad:
                            yield str(name), parameter
            for parameter in root.parameters():
                path = self._names.get(id(parameter))
                flagged = self._program.froze_by_attribute(parameter)
                if path in self._targets and (flagged or not parameter.requires_grad):
                    yield str(path), parameter

    def _is_flagged(self, module: nn.Module) -> bool:
        things = [module, *module.modules(), *module.parameters()]
        return any(self._program.froze_by_attribute(thing) for thing in things)

    def _is_frozen(self, module: nn.Module) -> bool:
        if self._is_flagged(module):
            return True
        trained = {id(p) for each in self._stages.current for p in held_by(each) if p.requires_grad}
        return not any(id(p) in trained for p in module.parameters())
