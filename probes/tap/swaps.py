"""Other values that a trained model is given for its evaluation, averages for one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from probes.tap.first_samples import FirstSamples
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector
from probes.tap.twins import some, vector

_MOST = 16
"""Parameters of a model that are compared."""
_JUMP = 0.5


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a model was evaluated with.

    Attributes:
        place: Its name, and the line.
        parameters: Some of its parameters.
        values: Samples of them.
    """

    place: str
    parameters: list[Tensor]
    values: Tensor


class SwapWatch:
    """Compares the values that a trained model is evaluated with to those that it is trained with.

    These are back before its next step. Signals, where the two differ: ``average.swapped``, at
    ``model@file.py:12``, which share of the way of the weights the other values have before them;
    ``average.pace``, at the model, which share of their distance to the weights they went in each
    step since they were seen last, 1 for more than half of it in all. Where the model is evaluated
    as it is, too, ``average.beside``, 1.

    Args:
        tree: Names the models.
        sources: Tells the user's lines.
        first: Knows the weights before the first step.
        collector: Takes the signals.
    """

    def __init__(
        self, tree: ModuleTree, sources: Sources, first: FirstSamples, collector: Collector
    ) -> None:
        self._tree = tree
        self._sources = sources
        self._first = first
        self._collector = collector
        self._steps = 0
        self._seen: dict[tuple[str, int, int], _Seen] = {}
        self._last: dict[str, tuple[int, Tensor, Tensor]] = {}

    def look_at(self, module: nn.Module) -> None:
        """Take note of an evaluation."""
        own = some((p for p in module.parameters() if self._first.of(p) is not None), _MOST)
        name = self._tree.name(module)
        if not own or name is None:
            return
        place = f"{name}@{self._sources.line() or ''}"
        key = place, own[0].data_ptr(), own[0]._version
        values = vector(own) if key not in self._seen else None
        if values is not None:
            self._seen[key] = _Seen(place, own, values)

    def compare(self) -> None:
        """Tell what differed, now that the weights are back: the next step is to be made."""
        self._steps += 1
        seen, self._seen = self._seen, {}
        for each in seen.values():
            now = vector(each.parameters)
            if now is None or now.shape != each.values.shape:
                continue
            where = each.place.rpartition("@")[0]
            if not torch.equal(now, each.values):
                self._tell(where, each, now)
            elif where in self._last:
                self._collector.add("eval", each.place, {"average.beside": 1.0})

    def _tell(self, where: str, seen: _Seen, now: Tensor) -> None:
        first = [sample for p in seen.parameters if (sample := self._first.of(p)) is not None]
        way = now - torch.cat(first)
        lag = torch.dot(now - seen.values, way) / torch.dot(way, way)
        self._collector.add("eval", seen.place, {"average.swapped": lag})
        step, values, weights = self._last.get(where, (self._steps, seen.values, now))
        if step < self._steps:
            gap = (weights + now) / 2 - values
            share = float(torch.dot(seen.values - values, gap) / torch.dot(gap, gap))
            pace = share / (self._steps - step) if share < _JUMP else 1.0
            self._collector.add("train", where, {"average.pace": pace})
        self._last[where] = self._steps, seen.values, now
