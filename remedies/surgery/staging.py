"""Modules that do nothing at first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from probes.tap.sums import carried


class Staging:
    """A forward hook that mutes a module at first, and lets it in later.

    What a muted module gives back depends on what it is used for. Where its output is one of its
    inputs plus something, that input alone; everything else is taken for something that is added or
    multiplied elsewhere, and becomes zeros of the same structure. Its weights get no gradient
    meanwhile, as if it were not called.

    Args:
        share: How much of the module is let in now, from 0 to 1.
        film: Makes the scale and shift that stand in for the second input (see `Film`); None where
            a muted module shall give its input unchanged.
    """

    def __init__(
        self, share: Callable[[], float], film: Callable[[Film], None] | None = None
    ) -> None:
        self._share = share
        self._on_film = film
        self._film: Film | None = None
        self._stream: int | None = None
        self._known = False

    def __call__(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        """Replace the output of a call."""
        share = self._share()
        if share >= 1.0:
            return output
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if not self._known:
            if not torch.is_grad_enabled():
                return output  # What the output is made of can only be seen in its graph.
            self._look(given, output)
        idle = self._idle(module, given, output)
        return idle if share <= 0.0 else _blend(idle, output, share)

    def _look(self, given: list[Tensor], output: Any) -> None:
        self._known = True
        stream = carried(given, output) if isinstance(output, Tensor) else None
        if stream is not None:
            self._stream = next(n for n, value in enumerate(given) if value is stream)

    def _idle(self, module: nn.Module, given: list[Tensor], output: Any) -> Any:
        if self._stream is None:
            return tree_map(_silent, output)
        stream = given[self._stream]
        others = [v for n, v in enumerate(given) if n != self._stream and v.is_floating_point()]
        if self._on_film is None or not others or stream.dim() < 2 or others[0].dim() < 2:
            return stream
        if self._film is None:
            self._film = Film(stream, others[0], _channels_at(module, stream))
            self._on_film(self._film)
        return self._film(stream, others[0])


class Film(nn.Module):
    """Scale and shift of features from what a second input is on average; none at first.

    Args:
        stream: The features, shape (batch, ...), for size and place.
        context: The second input, shape (batch, ..., width).
        channels_at: Dimension of the features' channels; of the context's, too, where it has as
            many dimensions.
    """

    def __init__(self, stream: Tensor, context: Tensor, channels_at: int) -> None:
        super().__init__()
        self._at = channels_at
        width = self._pooled(context).shape[1]
        channels = 2 * stream.shape[channels_at]
        # Zeros, and no call of an initialiser: the program's random numbers stay the same.
        self.weight = nn.Parameter(stream.detach().new_zeros(channels, width))
        self.bias = nn.Parameter(stream.detach().new_zeros(channels))

    def forward(self, stream: Tensor, context: Tensor) -> Tensor:
        """The features, scaled and shifted."""
        found = nn.functional.linear(
            self._pooled(context).to(self.weight.dtype), self.weight, self.bias
        )
        shape = [1] * stream.dim()
        shape[0], shape[self._at] = stream.shape[0], stream.shape[self._at]
        scale, shift = (part.reshape(shape) for part in found.chunk(2, dim=1))
        return stream * (1 + scale) + shift

    def _pooled(self, context: Tensor) -> Tensor:
        if context.dim() == 2:
            return context
        return context.movedim(self._at, 1).flatten(2).mean(2)


def _channels_at(module: nn.Module, stream: Tensor) -> int:
    """Channels come last, but for convolutions."""
    convolves = any(
        isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d) for part in module.modules()
    )
    return 1 if convolves or stream.dim() in (2, 4, 5) else stream.dim() - 1


def _silent(value: Any) -> Any:
    known = isinstance(value, Tensor) and value.is_floating_point()
    return torch.zeros_like(value) if known else value


def _blend(idle: Any, output: Any, share: float) -> Any:
    parts: Iterator[Any] = iter(tree_leaves(idle))

    def mixed(value: Any) -> Any:
        other = next(parts)
        if not (isinstance(value, Tensor) and value.is_floating_point()):
            return value
        return other + share * (value - other)

    return tree_map(mixed, output)
