"""Running statistics of norms that are not trained, and how far they have moved all the same."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from probes.tap.modules import has_running_statistics

_SETTLED = 10
"""Batches after which the statistics of a norm are those of data, not of its construction."""


class FrozenNorms:
    """Compares running statistics with what they were when their norm was first seen frozen."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[weakref.ref[Tensor], Tensor, Tensor]] = {}

    def forget_others(self, modules: Iterable[nn.Module]) -> None:
        """Keep what is known of the norms in these modules, and of no others."""
        norms = [n for m in modules for n in m.modules() if has_running_statistics(n)]
        kept = {id(norm.running_mean) for norm in norms}
        self._first = {key: value for key, value in self._first.items() if key in kept}

    def moved(self, module: nn.Module) -> dict[str, Tensor]:
        """How far the statistics below a module have moved; nothing where there are none.

        Returns:
            ``frozen.shift``, the means' in units of the first standard deviations, and
            ``frozen.spread``, the logarithms of the variances; each the mean over channels and
            norms.
        """
        norms = [norm for norm in module.modules() if has_running_statistics(norm)]
        found = [moved for norm in norms if (moved := self._moved(norm)) is not None]
        if not found:
            return {}
        shift, spread = (torch.stack(column).mean() for column in zip(*found, strict=True))
        return {"frozen.shift": shift, "frozen.spread": spread}

    def _moved(self, norm: Any) -> tuple[Tensor, Tensor] | None:
        mean, variance = norm.running_mean, norm.running_var
        known = self._first.get(id(mean))
        if known is None or known[0]() is not mean:
            batches = getattr(norm, "num_batches_tracked", None)
            if batches is None or int(batches) < _SETTLED:
                return None
            known = weakref.ref(mean), mean.detach().clone(), variance.detach().clone()
            self._first[id(mean)] = known
        _, first, spread = known
        shift = (mean - first).abs() / (spread + norm.eps).sqrt()
        return shift.mean(), ((variance + norm.eps) / (spread + norm.eps)).log().abs().mean()
