"""What the steps of an optimizer lose where parameters are kept in half precision."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from probes.tap.guard import quietly
from probes.tap.locate import Sources
from probes.tap.statistics import Collector
from probes.tap.wrap import all_undone, wrap

HALF = (torch.bfloat16, torch.float16)
_CASTS = ("to", "type", "half", "bfloat16")


class CastWatch:
    """Remembers the lines that make half precision of a module, or of all tensors to come.

    Args:
        sources: Tells the user's lines: they are where.
        collector: Takes ``cast.half``, 1 for each such line.
    """

    def __init__(self, sources: Sources, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._cast: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = [wrap(nn.Module, name, after=self._after_cast) for name in _CASTS]
        undo.append(wrap(torch, "set_default_dtype", before=self._before_default))
        return all_undone(undo)

    @quietly
    def _after_cast(self, module: nn.Module) -> None:
        # A model that has been cast may be moved to a device later on: the first line counts.
        if module not in self._cast and any(p.dtype in HALF for p in module.parameters()):
            self._cast.update(module.modules())
            self._tell()

    @quietly
    def _before_default(self, d: torch.dtype) -> None:
        if d in HALF:
            self._tell()

    def _tell(self) -> None:
        line = self._sources.line()
        if line is not None:
            self._collector.add("train", line, {"cast.half": 1.0})


def rounds_to_nearest(optimizer: Optimizer) -> bool:
    """Whether an optimizer writes its updates straight into the parameters, as torch's own do.

    Others may round at random, or add what they lost to the next update: then an element that did
    not move has lost nothing, and there is no telling from one step.
    """
    return str(getattr(type(optimizer).step, "__module__", "")).startswith("torch.optim.")


def lost_share(change: Tensor, gradient: Tensor) -> Tensor:
    """Which share of a gradient is that of elements that a step left exactly as they were.

    Args:
        change: What the step added to a parameter.
        gradient: Its gradient. Elements count by its size: of none, not at all.

    Returns:
        The share, a scalar; not a number without a gradient.
    """
    sizes = gradient.float().abs()
    return (sizes * (change == 0)).sum() / sizes.sum()
