"""Which tensors have values that can be looked at."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor


def is_dense(value: object) -> TypeGuard[Tensor]:
    """Whether a value is a tensor with real elements that can be read one by one.

    Not so are sparse and complex tensors, those without data (``meta``, or while a program is
    traced), and those that stand for a whole batch within `torch.func`.
    """
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not value.is_complex()
        and not value.is_quantized
        and value.device.type != "meta"
        and value.numel() > 0
        and type(value).__name__ != "FakeTensor"
        and not torch._C._functorch.is_functorch_wrapped_tensor(value)
    )


def is_dense_float(value: object) -> TypeGuard[Tensor]:
    """Whether it is such a tensor of floating-point numbers."""
    return is_dense(value) and value.is_floating_point()


def is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether it is such a tensor of no class but torch's own."""
    return type(value) in (Tensor, torch.nn.Parameter) and is_dense_float(value)
