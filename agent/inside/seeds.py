"""Shifts every seed that a script sets, so that an unmodified script gives replicates.

Trial seed 0 leaves the seeds of the script as they are. Under trial seed k, ``manual_seed(s)``
means ``manual_seed(s + k * STRIDE)``, everywhere: seeds that are equal in the script stay equal,
different ones stay different. What the script does not seed starts from a state that k gives, so
the same trial seed always gives the same run.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import torch
import wrapt

STRIDE = 1_000_003
_START = 20_240_607

Shift = Callable[[Any], Any]


def install(seed: int) -> None:
    """Shift all seeding from now on, and start the global generators.

    Args:
        seed: The trial seed.
    """
    shift = partial(_shifted, by=seed)
    random.seed(_START + seed * STRIDE)
    wrapt.register_post_import_hook(partial(_start_numpy, seed=seed), "numpy")
    if seed:
        torch.manual_seed(_START + seed * STRIDE)
        _patch_random(shift)
        _patch_torch(shift)
        wrapt.register_post_import_hook(partial(_patch_numpy, shift=shift), "numpy")


def _shifted(value: Any, by: int) -> Any:
    """The seed that is used instead of ``value``."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str | bytes | float):
        return f"{value!r}+{by}"
    try:
        number = int(value)
    except (TypeError, ValueError):
        return value
    moved = number + by * STRIDE
    # The range that NumPy allows, for any seed that was in it.
    return moved % 2**32 if 0 <= number < 2**32 else moved


def _shift_first(shift: Shift) -> Any:
    """A wrapper that shifts the first argument, whatever its name is."""

    @wrapt.decorator
    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if args:
            return wrapped(shift(args[0]), *args[1:], **kwargs)
        return wrapped(**{key: shift(value) for key, value in kwargs.items()})

    return wrapper


def _patch_random(shift: Shift) -> None:
    original = random.Random.seed

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        original(self, shift(a), version)

    random.Random.seed = seed  # type: ignore[method-assign]
    # The functions of the module are methods of a hidden instance, bound long ago.
    random.seed = random._inst.seed


def _patch_torch(shift: Shift) -> None:
    wrap = _shift_first(shift)
    # Before torch.manual_seed is replaced: it calls the one of CUDA, and is shifted by itself.
    torch.manual_seed = torch.random.manual_seed = wrap(torch.manual_seed)
    torch.Generator = _subclass(torch.Generator, "torch", "manual_seed", shift)  # type: ignore[assignment,misc]
    if torch.cuda.is_available():
        for name in ("manual_seed", "manual_seed_all"):
            setattr(torch.cuda, name, wrap(getattr(torch.cuda, name)))


def _start_numpy(numpy: ModuleType, seed: int) -> None:
    numpy.random.seed((_START + seed * STRIDE) % 2**32)
    original, calls = numpy.random.default_rng, itertools.count()

    def default_rng(seed_: Any = None) -> Any:
        """Without a seed, numbers that differ between calls, but not between runs."""
        return original([_START, seed, next(calls)] if seed_ is None else seed_)

    numpy.random.default_rng = wrapt.FunctionWrapper(original, _forward_to(default_rng))


def _forward_to(function: Callable[..., Any]) -> Callable[..., Any]:
    def forward(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return function(*args, *kwargs.values())

    return forward


def _patch_numpy(numpy: ModuleType, shift: Shift) -> None:
    def array_shift(value: Any) -> Any:
        if isinstance(value, list | tuple | numpy.ndarray):
            return [*map(int, value), shift(0)]
        return shift(value)

    wrap = _shift_first(array_shift)
    numpy.random.seed = wrap(numpy.random.seed)
    numpy.random.default_rng = wrap(numpy.random.default_rng)
    numpy.random.RandomState = _subclass(
        numpy.random.RandomState, "numpy.random", "seed", array_shift
    )


def _subclass(base: type, module: str, method: str, shift: Shift) -> type:
    """A class that shifts its seeds and passes for ``base`` in every type check.

    Args:
        base: The class.
        module: Where the script finds it, and pickle shall, too.
        method: The method that sets the seed; where it is ``seed``, the constructor takes one, too.
        shift: What to make of a seed.
    """

    class Meta(type(base)):  # type: ignore[misc]
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, base)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, base)

    def seed(self: Any, seed: Any = None) -> Any:
        return getattr(base, method)(self, shift(seed))

    def init(self: Any, seed: Any = None) -> None:
        base.__init__(self, shift(seed))  # type: ignore[misc]

    body = {method: seed, "__module__": module, "__doc__": base.__doc__}
    if method == "seed":
        body["__init__"] = init
    return Meta(base.__name__, (base,), body)
