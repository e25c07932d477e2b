"""Puts the stored rows of a data set back after they were read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch

from probes.tap.stored_rows import located, same, stored


def kept(
    fetch: Callable[[Any, Any], Any], targets: Collection[str], tell: Callable[[str], None]
) -> Callable[[Any, Any], Any]:
    """How a loader reads batches without changing what the data set keeps.

    Args:
        fetch: The original method.
        targets: What to put back, ``CLASS.ATTRIBUTE``.
        tell: Called with a target that was changed.
    """

    def read(fetcher: Any, index: Any) -> Any:
        dataset, indices = located(fetcher.dataset, index)
        before = {
            name: rows
            for name, rows in stored(dataset, indices).items()
            if f"{type(dataset).__name__}.{name}" in targets
        }
        batch = fetch(fetcher, index)
        for name, rows in before.items():
            value = getattr(dataset, name)
            changed = [
                (at, row) for at, row in zip(indices, rows, strict=True) if not same(value[at], row)
            ]
            with torch.no_grad():
                for at, row in changed:
                    value[at] = row
            if changed:
                tell(f"{type(dataset).__name__}.{name}")
        return batch

    return read
