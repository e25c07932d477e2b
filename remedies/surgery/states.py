"""Gives a program copies where it takes the state of a module."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def copied_at(
    original: Callable[..., Any], due: Callable[[], bool], tell: Callable[[str], None]
) -> Callable[..., Any]:
    """``state_dict`` with copies of the tensors in its result.

    Args:
        original: The method.
        due: Whether the line at work is one that is to have copies.
        tell: Called when tensors were copied.
    """

    @functools.wraps(original)
    def state_dict(module: Any, *args: Any, **kwargs: Any) -> Any:
        state = original(module, *args, **kwargs)
        if args or kwargs.get("destination") is not None or not due():
            return state  # A part of a larger state is copied with it.
        with torch.no_grad():
            copies = {k: v.clone() for k, v in state.items() if isinstance(v, Tensor)}
        state.update(copies)
        tell(f"{len(copies)} tensors copied")
        return state

    return state_dict
