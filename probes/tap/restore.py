"""Brings back what a function of the program changes when it is run once more than it would be."""

from __future__ import annotations

import functools
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

_LARGEST = 10_000
"""Items of a container that is restored. Larger ones are data, not what a forward pass changes."""
_EVERY_MODULE_HAS = nn.Module().__dict__.keys() - {"_buffers"}
_Undo = Callable[[], None]


class Restorer:
    """Remembers the state that a function can reach, and restores it as often as needed.

    That is: random states (torch's, of all devices, Python's, NumPy's, and of generators that the
    function holds), buffers, attributes of modules and of other objects that it holds, containers
    among them, variables of its closure and of its file; and tensors that are changed in place.

    Args:
        function: What will be run.
        args: Its arguments.
        modules: Modules that it may reach.
    """

    def __init__(
        self, function: Callable[..., Any], args: Iterable[Any], modules: Iterable[nn.Module]
    ) -> None:
        self._tensors: dict[int, tuple[Tensor, Tensor]] = {}
        self._undo: list[_Undo] = list(_random_states())
        holders = {id(module): module for module in modules}
        pending, seen = [function, *args], set[int]()
        while pending:
            item = pending.pop()
            if id(item) in seen:
                continue
            seen.add(id(item))
            if isinstance(item, nn.Module):
                holders |= {id(module): module for module in item.modules()}
                continue
            pending += _parts(item)
            self._keep_value(item)
            if isinstance(item, FunctionType):
                self._keep_names(item.__globals__)
                for cell in item.__closure__ or ():
                    self._keep_cell(cell)
            elif _is_plain_object(item):
                self._keep_names(item.__dict__)
        for module in holders.values():
            self._keep_names(module.__dict__, leave_out=_EVERY_MODULE_HAS)
            for buffer in module._buffers.values():
                if buffer is not None:
                    self.keep(buffer)

    def keep(self, tensor: Tensor) -> None:
        """Remember the values of a tensor, if they are not yet."""
        if id(tensor) not in self._tensors:
            self._tensors[id(tensor)] = tensor, tensor.detach().clone()

    def restore(self) -> None:
        """Bring everything back."""
        for undo in self._undo:
            undo()
        for tensor, values in self._tensors.values():
            tensor.data.copy_(values)  # by .data: autograd shall not take it for a change

    def _keep_names(self, names: dict[str, Any], leave_out: Iterable[str] = ()) -> None:
        kept = {key: value for key, value in names.items() if key not in leave_out}
        for value in kept.values():
            self._keep_value(value)

        def undo() -> None:
            for key in [k for k in names if k not in kept and k not in leave_out]:
                del names[key]
            for key, value in kept.items():
                if names.get(key, kept) is not value:
                    names[key] = value

        self._undo.append(undo)

    def _keep_cell(self, cell: Any) -> None:
        try:
            contents = cell.cell_contents
        except ValueError:  # empty
            return

        def undo() -> None:
            cell.cell_contents = contents

        self._undo.append(undo)

    def _keep_value(self, value: Any) -> None:
        if isinstance(value, torch._C.Generator):
            self._undo.append(_calling(value.set_state, value.get_state()))
        elif (bits := getattr(value, "bit_generator", None)) is not None:  # NumPy's
            self._undo.append(_calling(setattr, bits, "state", bits.state))
        elif isinstance(value, random.Random):
            self._undo.append(_calling(value.setstate, value.getstate()))
        elif type(value) in (list, deque, dict, set) and len(value) <= _LARGEST:
            self._undo.append(_refill(value))


def _random_states() -> Iterator[_Undo]:
    yield _calling(torch.set_rng_state, torch.get_rng_state())
    yield _calling(random.setstate, random.getstate())
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        yield _calling(numpy.random.set_state, numpy.random.get_state())
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield _calling(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())


def _calling(function: Callable[..., Any], *args: Any) -> _Undo:
    def undo() -> None:
        function(*args)

    return undo


def _refill(container: Any) -> _Undo:
    kept = container.copy()

    def undo() -> None:
        if not _same_items(container, kept):
            container.clear()
            (container.extend if isinstance(container, list | deque) else container.update)(kept)

    return undo


def _same_items(one: Any, other: Any) -> bool:
    if len(one) != len(other):
        return False
    if isinstance(one, set):
        return bool(one == other)
    if isinstance(one, dict):
        return all(key in one and one[key] is value for key, value in other.items())
    return all(a is b for a, b in zip(one, other, strict=True))


def _parts(item: Any) -> list[Any]:
    """What a callable holds, and what a container of arguments has in it."""
    if isinstance(item, functools.partial):
        return [item.func, *item.args, *item.keywords.values()]
    if isinstance(item, MethodType):
        return [item.__func__, item.__self__]
    if isinstance(item, FunctionType):
        return [*_contents(item), *(item.__defaults__ or ())]
    return []


def _contents(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # empty
            continue


def _is_plain_object(item: Any) -> bool:
    foreign = isinstance(item, type | ModuleType | FunctionType | MethodType | Tensor)
    return not foreign and isinstance(getattr(item, "__dict__", None), dict)
