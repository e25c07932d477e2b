"""Follows random draws through the program, to where they are added to something else."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_CENTERED = {"randn": 0.0, "randn_like": 0.0, "rand": 0.5, "rand_like": 0.5}
_DRAWS = {*_CENTERED, "normal", "normal_", "uniform_"}
_SAME = {
    "view", "view_as", "reshape", "reshape_as", "expand", "expand_as", "broadcast_to", "unsqueeze",
    "squeeze", "flatten", "unflatten", "permute", "transpose", "swapaxes", "movedim", "t", "repeat",
    "repeat_interleave", "chunk", "split", "unbind", "narrow", "select", "__getitem__", "to",
    "type", "type_as", "float", "double", "half", "bfloat16", "cpu", "cuda", "contiguous", "clone",
    "detach", "requires_grad_", "clamp", "clip",
}  # fmt: skip
_NEGATED = {"neg", "negative"}
_SCALED = {"mul", "multiply", "div", "divide", "true_divide"}
_PRODUCTS = {"matmul", "mm", "mv", "bmm"}
_ADDED = {"add", "sub", "subtract", "__rsub__"}


@dataclass(slots=True)
class _Draw:
    """One draw; ``data`` once it was put to another use than being added to something."""

    data: bool = False


@dataclass(frozen=True, slots=True)
class _Noise:
    reference: weakref.ref[Tensor]
    mean: float
    draw: _Draw


@dataclass(frozen=True, slots=True)
class Addition:
    """A call that puts pure noise on top of something deterministic.

    Attributes:
        signal: The deterministic part.
        operand: Which argument it is.
        noise: Which argument is noise; None where the same call draws it.
    """

    signal: Tensor
    operand: int
    noise: int | None


class Draws:
    """Knows which tensors are noise and nothing else: a draw, or a draw that was only scaled.

    Each is known with its mean, where that can be told. Noise with a mean of zero may be scaled by
    anything (``eps * std``) and is still noise; a mask or another factor that has a mean may not:
    ``mask * hidden`` is hidden, with multiplicative noise. What is drawn and then read by the
    model (a random input, the latent of a generator) or added to inputs is data, not noise.
    """

    def __init__(self) -> None:
        self._noises: dict[int, _Noise] = {}

    def forget(self) -> None:
        """Let go of all that was drawn."""
        self._noises = {}

    def concerned(self, func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Whether a call draws something, or takes something drawn."""
        if getattr(func, "__name__", "") in _DRAWS:
            return True
        return bool(self._noises) and any(self.mean(arg) is not None for arg in _tensors(args))

    def mean(self, value: object) -> float | None:
        """The mean of a tensor that is noise; None where it is not."""
        noise = self._noise(value)
        return noise.mean if noise is not None else None

    def _noise(self, value: object) -> _Noise | None:
        noise = self._noises.get(id(value))
        # The weak reference is not called: unsafe for a tensor that only C++ still holds.
        return noise if noise is not None and not noise.draw.data else None

    def addition(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Addition | None:
        """The addition that a call makes, from before or after the call."""
        name = getattr(func, "__name__", "")
        if name == "normal" and args and isinstance(args[0], Tensor):
            return Addition(args[0], 0, None) if torch.is_grad_enabled() else None
        name = _bare(name)
        if "out" in kwargs or len(args) < 2 or not self._noises:
            return None
        noisy = [self.mean(arg) is not None for arg in args]
        if name in _ADDED and noisy[0] != noisy[1]:
            return _of(args, operand=int(noisy[0]), noise=int(noisy[1]))
        if name == "addcmul" and len(args) == 3 and not noisy[0] and noisy[1] != noisy[2]:
            return _of(args, operand=0, noise=1 if noisy[1] else 2)
        return None

    def follow(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Take a call that was made: its result may be noise, or be noise no longer."""
        name = getattr(func, "__name__", "")
        mean = self._mean_of_result(name, args, kwargs)
        results = [tensor for tensor in _tensors((result,)) if tensor.is_floating_point()]
        taken = [noise for arg in _tensors(args) if (noise := self._noise(arg)) is not None]
        if mean is None and results and self._is_use(name, args, self.addition(func, args, kwargs)):
            for noise in taken:
                noise.draw.data = True
        draw = taken[0].draw if taken and name not in _DRAWS else _Draw()
        for tensor in results:
            if mean is None:
                self._noises.pop(id(tensor), None)
            else:
                self._keep(tensor, mean, draw)

    def _is_use(self, name: str, args: tuple[Any, ...], addition: Addition | None) -> bool:
        """Whether a call that does not give noise takes it for data."""
        if addition is not None:
            return torch.is_grad_enabled() and not addition.signal.requires_grad
        overwritten = name.endswith("_") and len(args) > 1 and self.mean(args[1]) is None
        return not (overwritten or name.endswith("_like") or name.startswith("new_"))

    def _keep(self, tensor: Tensor, mean: float, draw: _Draw) -> None:
        key, noises = id(tensor), self._noises

        def gone(reference: weakref.ref[Tensor]) -> None:
            if key in noises and noises[key].reference is reference:
                del noises[key]

        noises[key] = _Noise(weakref.ref(tensor, gone), mean, draw)

    def _mean_of_result(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> float | None:
        if name in _DRAWS:
            return _mean_drawn(name, args, kwargs)
        if not args:
            return None
        name = name if name in _SAME else _bare(name)
        if name in ("stack", "cat", "concat"):
            means = [self.mean(item) for item in args[0]]
            return means[0] if len(set(means)) == 1 else None
        first = self.mean(args[0])
        if len(args) == 1 or name in _SAME:
            kept = first is not None and (name in _SAME or name in _NEGATED)
            return (-first if name in _NEGATED else first) if kept and first is not None else None
        return self._mean_of_two(name, args[0], args[1], kwargs)

    def _mean_of_two(self, name: str, one: Any, two: Any, kwargs: dict[str, Any]) -> float | None:
        first, second = self.mean(one), self.mean(two)
        if name in _SCALED and (first is None) != (second is None):
            if second is not None and name in ("div", "divide", "true_divide"):
                return None
            return _scaled(first if second is None else second, two if second is None else one)
        if name in _PRODUCTS:  # What a random vector is multiplied by from the left.
            return 0.0 if second == 0 and first is None else None
        if name not in _ADDED:
            return None
        sign = 1 if name == "add" else -1
        if first is not None and second is not None:
            return first + sign * second
        if first is not None and isinstance(two, int | float) and not kwargs:
            return first + sign * two if name != "__rsub__" else two - first
        return None


def _bare(name: str) -> str:
    """The name of the function that is not in place."""
    return name if name.startswith("__") else name.removesuffix("_")


def _of(args: tuple[Any, ...], operand: int, noise: int) -> Addition | None:
    signal = args[operand]
    return Addition(signal, operand, noise) if isinstance(signal, Tensor) else None


def _scaled(mean: float | None, factor: Any) -> float | None:
    if mean and isinstance(factor, int | float):
        return mean * factor
    return None if mean else mean


def _mean_drawn(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
    if name in _CENTERED:
        return _CENTERED[name]
    rest = args[1:] if name.endswith("_") else args
    if name == "uniform_":
        low, high = kwargs.get("from", 0.0), kwargs.get("to", 1.0)
        bounds = [*rest[:2], *(low, high)[len(rest) :]]
        return sum(map(float, bounds)) / 2
    mean = rest[0] if rest else kwargs.get("mean", 0.0)
    if isinstance(mean, Tensor):
        return None if mean.requires_grad or bool(mean.any()) else 0.0
    return float(mean)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)
