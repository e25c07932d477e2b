"""Gives a program its samples in a random order where it takes them in that of the data."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

if TYPE_CHECKING:
    from remedies.surgery.program import Program


def shuffling(
    make: Callable[..., None], chosen: Callable[[], bool], tell: Callable[[str], None]
) -> Callable[..., None]:
    """The ``__init__`` of loaders, some of which shuffle now.

    Args:
        make: The original.
        chosen: Whether the loader that is being made is one of those.
        tell: Called when one is.
    """
    signature = inspect.signature(make)

    @functools.wraps(make)
    def shuffled(loader: DataLoader[Any], *args: Any, **kwargs: Any) -> None:
        given = signature.bind(loader, *args, **kwargs)
        own = given.arguments.get("sampler") or given.arguments.get("batch_sampler")
        endless = isinstance(given.arguments.get("dataset"), IterableDataset)
        if own is None and not endless and chosen():
            given.arguments["shuffle"] = True
            tell("the loader shuffles")
        make(*given.args, **given.kwargs)

    return shuffled


class ShuffledRows:
    """Takes rows of a random order where slices are taken one after another, outside of modules.

    It begins once slices of a tensor were taken at the chosen line in two steps; then it is done
    with slices of all tensors of that length that are taken at a line again: a tensor is cut into a
    part to train on and one to hold out only once.

    Args:
        program: Tells the step and the line.
        chosen: Whether the present line is that of the inputs.
        tell: Called when rows were taken in another order.
    """

    def __init__(
        self, program: Program, chosen: Callable[[], bool], tell: Callable[[str], None]
    ) -> None:
        self._program = program
        self._chosen = chosen
        self._tell = tell
        self._first: dict[str | None, int] = {}
        self._length = 0
        self._order = torch.arange(0)
        self._last = (0, 0)

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        if getattr(func, "__name__", "") != "__getitem__" or len(args) != 2:
            return NotImplemented
        source, index = args
        rows, *others = index if isinstance(index, tuple) and index else (index,)
        if not isinstance(source, Tensor) or not isinstance(rows, slice) or not source.dim():
            return NotImplemented
        if source.requires_grad or not torch.is_grad_enabled() or self._program.inside_module():
            return NotImplemented
        with torch._C.DisableTorchFunction():
            start, stop, stride = rows.indices(len(source))
        if stride != 1 or not 1 < stop - start < len(source) or not self._again(len(source)):
            return NotImplemented
        self._go_on(start)
        self._tell("rows are taken in a random order")
        with torch._C.DisableTorchFunction():
            taken = self._order[start:stop].to(source.device)
        return func(source, (taken, *others))

    def _again(self, length: int) -> bool:
        """Whether rows of such a tensor are taken at this line in a later step than before."""
        line, step = self._program.line(), self._program.step
        if self._first.setdefault(line, step) == step:
            return False
        if not self._length and self._chosen():
            self._length = length
        return length == self._length

    def _go_on(self, start: int) -> None:
        """Make a new order where a round of the data begins."""
        step, before = self._last
        if not len(self._order) or (self._program.step > step and start < before):
            self._order = torch.randperm(self._length)
        self._last = self._program.step, start
