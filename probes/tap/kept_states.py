"""A state of a module that the script has taken: what it holds, and how to know it again."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from probes.tap.dense import is_dense_float
from probes.tap.frozen_parts import sample_of
from probes.tap.twins import some

_LOOKED_AT = 16
_ELEMENTS = 16


@dataclass(slots=True)
class KeptState:
    """What ``state_dict()`` gave at a line.

    Attributes:
        line: The line.
        step: Optimizer steps until then.
        load: Loads of states into the module until then.
        tensors: What was given, for as long as the script holds it.
        sample: Some of the trained values, as they were.
    """

    line: str
    step: int
    load: int
    tensors: list[weakref.ref[Tensor]]
    sample: Tensor

    @property
    def held(self) -> list[Tensor]:
        """The tensors that the script still holds."""
        return [tensor for reference in self.tensors if (tensor := reference()) is not None]

    def is_in(self, state: Mapping[str, Any]) -> bool:
        """Whether a state has any of the very tensors."""
        given = {id(value) for value in state.values()}
        return any(id(tensor) in given for tensor in self.held)

    def has_changed(self, module: nn.Module) -> bool:
        """Whether the module's trained values are others by now."""
        now = sample_of_module(module)
        return now is not None and not torch.equal(now, self.sample)


def sample_of_module(module: nn.Module) -> Tensor | None:
    """Some trained values of a module, always the same ones; None where there are none."""
    trained = [p for p in module.parameters() if p.requires_grad and is_dense_float(p)]
    pieces = [sample_of(parameter, _ELEMENTS) for parameter in some(trained, _LOOKED_AT)]
    known = [piece.to(trained[0].device) for piece in pieces if piece is not None]
    return torch.cat(known) if known else None


def compared(module: nn.Module, state: Mapping[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """The values of a module and those that a state has for them, floating-point ones."""
    own: dict[str, Tensor] = dict(module.named_buffers(remove_duplicate=False))
    own.update(module.named_parameters(remove_duplicate=False))
    for name, value in state.items():
        if is_dense_float(value) and is_dense_float(own.get(name)):
            yield own[name], value


def is_shared(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same memory, seen in the same way."""
    return (
        one.data_ptr() == other.data_ptr()
        and one.device == other.device
        and one.shape == other.shape
        and one.stride() == other.stride()
        and one.dtype == other.dtype
    )


def is_same(one: Tensor, other: Tensor) -> bool:
    """Whether to put the other tensor into the place of the one changes nothing."""
    if is_shared(one, other):
        return True
    alike = one.shape == other.shape and one.dtype == other.dtype and one.device == other.device
    return alike and torch.equal(one, other)
