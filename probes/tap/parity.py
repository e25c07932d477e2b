"""Compares the gradients of a function with and without checkpointing, on stand-ins."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as module_hooks
from torch.utils._pytree import tree_leaves

from probes.tap.calls import CallLog
from probes.tap.standins import StandIn, StandIns
from probes.tap.terms import parameters_below

OPTIONS = (
    "use_reentrant", "context_fn", "determinism_check", "debug", "early_stop", "preserve_rng_state",
)  # fmt: skip
"""Arguments of `torch.utils.checkpoint.checkpoint` that are not for the function."""
_GLOBAL_HOOKS = (
    "_global_forward_pre_hooks", "_global_forward_hooks", "_global_forward_hooks_always_called",
    "_global_forward_hooks_with_kwargs", "_global_backward_pre_hooks", "_global_backward_hooks",
)  # fmt: skip

_Gradients = dict[Any, Tensor]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `torch.utils.checkpoint.checkpoint`.

    Attributes:
        checkpoint: The function of torch itself.
        function: What is checkpointed.
        args: Its arguments.
        kwargs: Keyword arguments, the options of the checkpoint among them.
    """

    checkpoint: Callable[..., Any]
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def own(self) -> dict[str, Any]:
        """The keyword arguments that are for the function."""
        return {key: value for key, value in self.kwargs.items() if key not in OPTIONS}

    @property
    def reentrant(self) -> bool:
        """Whether it is the reentrant kind, which is the default of old."""
        return self.kwargs.get("use_reentrant") in (None, True)


@dataclass(frozen=True, slots=True)
class Parity:
    """What the gradients of a segment have in common with and without checkpointing.

    Attributes:
        difference: Norm of the difference over that of the plain gradient.
        noise: The same between two plain runs.
        lost: Parameters that get a gradient plainly and none through the checkpoint, by identity:
            the share of the plain gradient that they, or the lost tensors made from them, have.
    """

    difference: float
    noise: float
    lost: dict[int, float]


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients at all that a segment takes from outside, for one random cotangent."""

    table: dict[Any, StandIn]
    plain: _Gradients
    again: _Gradients
    through: _Gradients

    def compare(self, trained: Collection[int]) -> Parity | None:
        """Compare what leads to the parameters that are trained; None where nothing does."""
        total = noise = difference = 0.0
        lost: dict[int, float] = {}
        for key, plain in self.plain.items():
            parameters = _parameters(self.table[key].original)
            wanted = [p for p in parameters if id(p) in trained]
            if parameters and not wanted:
                continue
            through, square = self.through.get(key), _square(plain)
            total += square
            noise += _square(plain, self.again.get(key))
            difference += _square(plain, through)
            if square and (through is None or not _square(through)):
                for parameter in wanted:
                    lost[id(parameter)] = lost.get(id(parameter), 0.0) + square
        if not total:
            return None
        shares = {key: (square / total) ** 0.5 for key, square in lost.items()}
        return Parity((difference / total) ** 0.5, (noise / total) ** 0.5, shares)


def measure(
    call: Call,
    stand_ins: StandIns,
    restore: Callable[[], None],
    plainly: contextlib.AbstractContextManager[None],
) -> Gradients:
    """Run a segment plainly, once more, and checkpointed.

    Args:
        call: The segment.
        stand_ins: What it runs on.
        restore: Brings back what a run has changed.
        plainly: Makes checkpoints within the segment plain calls, too.
    """
    run = stand_ins.within(call.function)
    # The reentrant kind takes the gradients of its tensor arguments on by itself.
    given = [stand_ins.replace(a) if isinstance(a, Tensor) else a for a in call.args]
    cotangents: dict[int, Tensor] = {}

    def gradients(segment: Callable[[], Any]) -> _Gradients:
        try:
            with stand_ins:  # A backward pass, too, may run parts of the program.
                _backward(segment(), cotangents)
        finally:
            restore()
        return stand_ins.gradients()

    with plainly:
        first = gradients(lambda: run(*call.args, **call.own))
        again = gradients(lambda: run(*call.args, **call.own))
    args = given if call.reentrant else call.args
    through = gradients(lambda: call.checkpoint(run, *args, **call.kwargs))
    return Gradients(stand_ins.table, first, again, through)


def _backward(outputs: Any, cotangents: dict[int, Tensor]) -> None:
    """Send a random cotangent through every output: the same ones each time."""
    ends = [
        (number, leaf)
        for number, leaf in enumerate(tree_leaves(outputs))
        if isinstance(leaf, Tensor) and leaf.requires_grad and leaf.is_floating_point()
    ]
    if not ends:
        return
    generator = torch._C.Generator()
    for number, end in ends:
        if number not in cotangents:
            generator.manual_seed(number)
            cotangents[number] = torch.randn(end.shape, generator=generator).to(end)
    backward = inspect.unwrap(torch.autograd.backward)
    backward([end for _, end in ends], [cotangents[number] for number, _ in ends])


@contextlib.contextmanager
def gradients_aside(parameters: Iterable[Tensor]) -> Iterator[None]:
    """Have parameters without a ``.grad``, whatever happens meanwhile."""
    kept = [(parameter, parameter.grad) for parameter in parameters]
    for parameter, _ in kept:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in kept:
            parameter.grad = gradient


@contextlib.contextmanager
def nobody_watching(calls: CallLog) -> Iterator[None]:
    """Neither global hooks nor the log see anything, no warning is shown, no cast is cached."""
    hooks = [getattr(module_hooks, name) for name in _GLOBAL_HOOKS]
    kept = [dict(each) for each in hooks]
    cached = torch.is_autocast_cache_enabled()
    for each in hooks:
        each.clear()
    torch.set_autocast_cache_enabled(False)
    try:
        with calls.quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_autocast_cache_enabled(cached)
        for each, entries in zip(hooks, kept, strict=True):
            each.update(entries)


def _parameters(original: Tensor) -> list[Tensor]:
    """What a tensor from outside is, or is made from."""
    return [original] if original.is_leaf else parameters_below([original.grad_fn])  # type: ignore[list-item]


def _square(one: Tensor, other: Tensor | None = None) -> float:
    """Squared norm of a gradient, or of its difference to another (None: zero)."""
    values = one.detach().double() if other is None else one.double() - other.double()
    return float(values.square().sum())
