"""Runs a function of the program on stand-ins for the tensors that it is given or reaches for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

_Key = int | tuple[Any, int]
"""Identity of a leaf, or the node that made a tensor with the number of its output."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A tensor from outside the function, and the leaf that stands in for it.

    Attributes:
        original: The program's own tensor. Its graph and its ``.grad`` are never touched.
        leaf: Shares its values; takes the gradient.
    """

    original: Tensor
    leaf: Tensor


class StandIns(TorchFunctionMode):
    """While a function runs, lets its graph begin at stand-ins for all that comes from outside.

    It does not matter how the function comes by a tensor: as an argument, in a dict, by a closure,
    as an attribute or a parameter. At each call of a torch function, whatever requires a gradient
    and was there before is replaced. So a backward pass ends there, and neither the program's
    graph nor any ``.grad`` nor a hook on them is touched.

    Args:
        before_change: Told of each tensor that is about to be changed in place.
    """

    def __init__(self, before_change: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._before_change = before_change
        self._start: int = torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
        self._thread = threading.get_ident()
        self._leaves: set[int] = set()
        self._copies: dict[_Key, Tensor] = {}
        self._complete = False
        self.table: dict[_Key, StandIn] = {}

    def within(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, on stand-ins; may be called in any thread."""

        def run(*args: Any, **kwargs: Any) -> Any:
            self._copies = {}
            with self:
                return function(*args, **kwargs)

        return run

    def replace(self, tensor: Tensor) -> Tensor:
        """The stand-in for a tensor from outside; any other tensor itself."""
        if not tensor.requires_grad or id(tensor) in self._leaves:
            return tensor
        key = id(tensor) if tensor.is_leaf else (tensor.grad_fn, tensor.output_nr)
        if key not in self.table:
            if not self._is_from_outside(tensor):
                return tensor
            leaf = tensor.detach().requires_grad_()
            self._leaves.add(id(leaf))
            self.table[key] = StandIn(tensor, leaf)
        return self.table[key].leaf

    def gradients(self) -> dict[_Key, Tensor]:
        """The gradients since the last time; from now on no fresh leaf is taken for another's."""
        self._complete = True
        found = {k: s.leaf.grad for k, s in self.table.items() if s.leaf.grad is not None}
        for stand_in in self.table.values():
            stand_in.leaf.grad = None
        return found

    def _is_from_outside(self, tensor: Tensor) -> bool:
        if tensor.is_leaf:
            # Reentrant checkpointing makes fresh leaves, to which it must get its gradients.
            return isinstance(tensor, torch.nn.Parameter) or not self._complete
        # Numbers of nodes can be compared within one thread only.
        same_thread = threading.get_ident() == self._thread
        return same_thread and tensor.grad_fn._sequence_nr() < self._start  # type: ignore[union-attr]

    def _usable(self, tensor: Tensor) -> Tensor:
        """A stand-in that may be changed in place where the original could be."""
        leaf = self.replace(tensor)
        if leaf is tensor or tensor.is_leaf:
            return leaf
        key = (tensor.grad_fn, tensor.output_nr)
        copy = self._copies.get(key)
        if copy is None or copy.requires_grad != torch.is_grad_enabled():
            copy = self._copies[key] = leaf.clone()
        return copy

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        with torch._C.DisableTorchFunction():
            args, kwargs = tree_map_only(Tensor, self._usable, (args, kwargs or {}))
            target = _changed_in_place(func, args, kwargs)
            if target is not None and not target.requires_grad:
                self._before_change(target)
        return func(*args, **kwargs)


def _changed_in_place(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor | None:
    name = getattr(func, "__name__", "")
    in_place = name.endswith("_") and not name.endswith("__")
    in_place = in_place or name.startswith("__i") or name in ("__setitem__", "__set__")
    target = kwargs.get("out", args[0] if in_place and args else None)
    return target if isinstance(target, Tensor) else None
