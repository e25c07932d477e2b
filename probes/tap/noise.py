"""Watches where the program adds noise to what it has computed, and how much is left of that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from probes.tap.calls import CallLog
from probes.tap.draws import Addition, Draws
from probes.tap.losses import LossWatch
from probes.tap.noise_places import NoisePlaces, is_leaf
from probes.tap.statistics import Collector
from probes.tap.terms import LossTerm
from probes.tap.unrecorded import unrecorded
from probes.trace import Event, Phase

_PASSES = 2
"""Additions at each place and in each phase that are looked at while the watch is on."""
_MOST_NODES = 10_000
_CLEAREST = 1e12
"""Signal-to-noise ratio that stands for no noise at all."""


class NoiseWatch:
    """Sees noise that is added to activations: what two passes of one input would differ by.

    Nothing is run twice. At every place it tells ``noise.ratio`` (noise over the spread that the
    deterministic part has over the samples, both as root mean square), ``noise.capacity`` (bits
    that Gaussian channels of this kind can carry at most, summed over the dimensions),
    ``noise.needed`` (bits that it takes to tell the samples of the batch apart), ``noise.best``
    (the largest signal-to-noise ratio of a dimension), ``noise.active`` (share of dimensions with
    a ratio above one) and ``noise.dimensions``; at loss terms ``noise.rate`` (1 where a term
    trains the noisy code alone, not what reads it).

    Args:
        places: Names the places.
        calls: Tells of the torch functions that are called.
        losses: Tells of the loss terms.
        collector: Takes the signals.
        emit: Takes a ``noise`` event for each new place.
    """

    def __init__(
        self,
        places: NoisePlaces,
        calls: CallLog,
        losses: LossWatch,
        collector: Collector,
        emit: Callable[[Event], None],
    ) -> None:
        self.places = places
        self._collector = collector
        self._emit = emit
        self._draws = Draws()
        self._on = False
        self._known: set[str] = set()
        self._passes: dict[tuple[str, Phase], int] = {}
        self._sampled: list[Node] = []
        calls.listen(self._note)
        losses.probed.append(self._find_rate_terms)

    def switch_on(self) -> None:
        """Watch the step that begins."""
        self._on = True
        self._passes = {}

    def switch_off(self) -> None:
        """Watch no more."""
        self._on = False
        self._draws.forget()
        self._sampled = []

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or not self._draws.concerned(func, args):
            return
        addition = self._draws.addition(func, args, kwargs)
        if addition is not None and isinstance(result, Tensor):
            self._look_at(addition, args, result)
        self._draws.follow(func, args, kwargs, result)

    def _look_at(self, addition: Addition, args: tuple[Any, ...], result: Tensor) -> None:
        place = self.places.here(addition)
        if place is None:
            return
        name, source, phase = place
        self._passes[name, phase] = self._passes.get((name, phase), 0) + 1
        if self._passes[name, phase] > _PASSES:
            return
        if name not in self._known:
            self._known.add(name)
            event = {"event": "noise", "where": name, "source": source}
            self._emit(event | {"operand": addition.operand})
        if result.grad_fn is not None:
            self._sampled.append(result.grad_fn)
        signal = addition.signal
        if signal is result and addition.noise is not None:  # In place: it is gone.
            signal = result.detach() - args[addition.noise].detach()
        with unrecorded():
            self._collector.add(phase, name, noise_statistics(signal.detach(), result.detach()))

    def _find_rate_terms(self, loss: Tensor, terms: list[LossTerm]) -> None:
        """Tell the terms that train what comes before the noise, and nothing that comes after."""
        if len(terms) < 2 or not self._sampled:
            return
        sampled = set(self._sampled)
        origins = [child for node in sampled for child, _ in node.next_functions if child]
        before = _below(origins)
        reached = [_below(term.nodes) for term in terms]
        readers = [nodes for nodes in reached if nodes & sampled and _leaves(nodes) - before]
        for term, nodes in zip(terms, reached, strict=True):
            own = _leaves(nodes)
            shares = (nodes - own) & before
            if readers and shares and not own - before:
                self._collector.add("train", term.name, {"noise.rate": 1.0})


def noise_statistics(signal: Tensor, total: Tensor) -> dict[str, Tensor | float]:
    """How much of a deterministic signal is left under noise.

    Args:
        signal: Shape (samples, ...); leading dimensions of size 1 or expanded ones are dropped.
        total: The signal with the noise, of that shape behind any number of further dimensions.

    Returns:
        The signals of `NoiseWatch`; nothing where samples cannot be told from dimensions.
    """
    while signal.dim() > 1 and (signal.shape[0] == 1 or signal.stride(0) == 0):
        signal = signal[0]
    shape = signal.shape[1:]
    if not shape or signal.shape[0] < 2 or total.shape[-len(shape) :] != shape:
        return {}
    noise = (total - signal).float().square().reshape(-1, shape.numel()).mean(0)
    spread = signal.float().flatten(1).var(0)
    ratios = (spread / noise.clamp(min=1e-30)).clamp(max=_CLEAREST)
    return {
        "noise.ratio": (noise.mean() / spread.mean().clamp(min=1e-30)).sqrt(),
        "noise.capacity": 0.5 * torch.log2(1 + ratios).sum(),
        "noise.needed": math.log2(signal.shape[0]),
        "noise.best": ratios.max(),
        "noise.active": (ratios > 1).float().mean(),
        "noise.dimensions": float(shape.numel()),
    }


def _leaves(nodes: Iterable[Node]) -> set[Node]:
    return {node for node in nodes if is_leaf(node)}


def _below(nodes: Iterable[Node]) -> set[Node]:
    """The nodes and all that they are computed from."""
    stack = list(nodes)
    seen = set(stack)
    while stack and len(seen) < _MOST_NODES:
        for child, _ in stack.pop().next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                stack.append(child)
    return seen
