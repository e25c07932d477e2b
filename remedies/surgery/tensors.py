"""Changes the tensor that counts in what a module takes or gives."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


def change_first(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with its first floating-point tensor changed.

    Args:
        value: A tensor, or tuples, lists and mappings of any depth with tensors in them. It stays
            as it is.
        change: Gives another tensor, or the same to leave all as it is.
    """
    if isinstance(value, Tensor):
        return change(value) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, (tuple, list)):
        items = list(enumerate(value))
    else:
        return value
    for key, item in items:
        changed = change_first(item, change)
        if changed is not item:
            return _replaced(value, key, changed)
    return value


def _replaced(value: Any, key: Any, item: Any) -> Any:
    if isinstance(value, tuple):
        items = (*value[:key], item, *value[key + 1 :])
        return type(value)(*items) if hasattr(value, "_fields") else items
    other = copy.copy(value)
    other[key] = item
    return other
