"""Having something called around a function of another library, and taking it back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch


def wrap(
    owner: Any,
    name: str,
    before: Callable[..., None] | None = None,
    after: Callable[..., None] | None = None,
    gave: Callable[..., None] | None = None,
) -> Callable[[], None]:
    """Replace ``owner.name`` by itself with something called around it.

    Args:
        owner: A class or a module.
        name: Name of the method or function.
        before: Called with the same arguments, first.
        after: Called with the first argument alone, afterwards.
        gave: Called with the result and the same arguments, last.

    Returns:
        What puts the original back.
    """
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():  # What a compiler traces runs without us.
            return original(*args, **kwargs)
        if before is not None:
            before(*args, **kwargs)
        result = original(*args, **kwargs)
        if after is not None:
            after(args[0])
        if gave is not None:
            gave(result, *args, **kwargs)
        return result

    setattr(owner, name, wrapped)
    return lambda: setattr(owner, name, original)


def all_undone(undo: Sequence[Callable[[], None]]) -> Callable[[], None]:
    """What undoes several things, the last one first."""

    def undo_all() -> None:
        for each in reversed(undo):
            each()

    return undo_all
