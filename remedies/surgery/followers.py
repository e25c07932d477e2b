"""Has copies of a model follow it more closely than the script lets them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from probes.tap.optimizers import held_by
from probes.tap.twins import Twin


class Followers:
    """Pulls copies towards the weights after each step of an optimizer that trains these.

    Floating-point buffers, such as the running statistics of norms, are pulled with the parameters,
    so that what the copy normalises by fits its weights. A copy that the script does not move is
    left alone. What the script does to a copy goes on.

    Args:
        targets: Names of the copies.
        horizon: Steps over which an average reaches back.
        copies: Gives the copies that are known.
        tell: Called with the name of a copy that was pulled.
    """

    def __init__(
        self,
        targets: Collection[str],
        horizon: float,
        copies: Callable[[], Iterable[Twin]],
        tell: Callable[[str], None],
    ) -> None:
        self._targets = targets
        self._share = 1 / horizon
        self._copies = copies
        self._tell = tell

    def before_step(self, optimizer: Optimizer) -> None:
        """Nothing is to be done."""

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Pull the copies of what was just trained."""
        held = {id(parameter) for parameter in held_by(optimizer)}
        for twin in self._copies():
            copy, original = twin.copy(), twin.original()
            if twin.where not in self._targets or not twin.moves or not copy or not original:
                continue
            if any(id(parameter) in held for parameter in original.parameters()):
                self._pull(copy, original)
                self._tell(twin.where)

    def _pull(self, copy: nn.Module, original: nn.Module) -> None:
        pairs = list(_pairs(copy, original))
        # By .data: a graph that holds the copy shall not take it for a change.
        torch._foreach_lerp_(
            [own.data for own, _ in pairs],
            [weights.detach().to(own) for own, weights in pairs],
            self._share,
        )


def _pairs(copy: nn.Module, original: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Parameters and buffers of floating-point numbers, of the copy and of the original."""
    for kind in (nn.Module.named_parameters, nn.Module.named_buffers):
        weights = dict(kind(original))
        for name, own in kind(copy):
            other = weights.get(name)
            if other is not None and own.is_floating_point() and own.shape == other.shape:
                yield own, other
