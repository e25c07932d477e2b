"""Tensors and calls within `torch.func` transforms and compiled regions."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor

_functorch: Any = torch._C._functorch


def is_transformed() -> bool:
    """Whether a transform of `torch.func` (``grad``, ``vmap``, ...) is at work."""
    return _functorch.peek_interpreter_stack() is not None


def bare(value: Any) -> Any:
    """The tensor inside the wrappers of `torch.func`; anything else is given back.

    A wrapper dies with its transform; what it holds does not. Under ``vmap`` the samples of the
    batch are a dimension of it.
    """
    while isinstance(value, Tensor) and _functorch.is_functorch_wrapped_tensor(value):
        value = _functorch.get_unwrapped(value)
    return value


def gradient_levels() -> int:
    """How many gradients of `torch.func` are being taken within each other."""
    if not is_transformed():
        return 0
    return sum(level.key().name == "Grad" for level in _functorch.get_interpreter_stack())


def outside_transforms() -> contextlib.AbstractContextManager[Any]:
    """For what is computed meanwhile, no transform is at work; give it `bare` tensors."""
    if not is_transformed():
        return contextlib.nullcontext()
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

    return temporarily_clear_interpreter_stack()
