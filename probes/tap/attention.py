"""Watches how attention spreads its weights over the keys, however it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from probes.tap.attention_scores import (
    ahead_statistics,
    of_multi_head,
    of_scaled_product,
    score_statistics,
)
from probes.tap.calls import CallLog
from probes.tap.dense import is_plain
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.noise_places import module_at_work
from probes.tap.sample_axes import softmax_axis
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded
from probes.trace import Event

_PRODUCTS = {"matmul", "__matmul__", "bmm", "einsum"}
_KEEPING = {"dropout", "to", "float", "type_as", "contiguous"}
_RESHAPING = {"view", "reshape", "flatten", "unflatten"}
_WHOLE = {"scaled_dot_product_attention", "multi_head_attention_forward"}
_MOST_CALLS = 2
"""Calls of one place that are looked at in one step."""


@dataclass(frozen=True, slots=True)
class _Weights:
    """What a softmax gave, until it is known what becomes of it."""

    scores: Tensor
    axis: int
    source: str | None
    last: bool | None


class AttentionWatch:
    """Looks at every attention in training: whole functions, and softmax times values by hand.

    A softmax is an attention's where its result is the first factor of a matrix product. A place
    is named by the module at work, with the number of the line behind it where there is another
    one; it is told as an ``attention`` event.

    Args:
        tree: Names the modules.
        sources: Tells the user's lines.
        calls: Tells of the calls.
        collector: Takes the signals of `score_statistics` and `ahead_statistics`, and
            ``attention.across``: 1 where the softmax runs along another axis than the product sums
            over.
        emit: Takes the events.
    """

    def __init__(
        self,
        tree: ModuleTree,
        sources: Sources,
        calls: CallLog,
        collector: Collector,
        emit: Callable[[Event], None],
    ) -> None:
        self._tree = tree
        self._sources = sources
        self._collector = collector
        self._emit = emit
        self._on = False
        self._weights: Any = WeakIdKeyDictionary()
        self._places: dict[str, str] = {}
        self._calls: dict[str, int] = {}
        calls.listen(self._note, {"softmax", *_KEEPING, *_RESHAPING, *_PRODUCTS, *_WHOLE})

    def switch_on(self) -> None:
        """Watch the forward passes of the next step."""
        self._on, self._calls = True, {}

    def switch_off(self) -> None:
        """Watch no more, and let go of what was seen."""
        self._on = False
        self._weights = WeakIdKeyDictionary()

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on:
            return
        name = getattr(func, "__name__", "")
        if name == "softmax":
            self._remember(args, kwargs, result)
        elif name in _KEEPING or name in _RESHAPING:
            known = self._known(args)
            if known is not None and isinstance(result, Tensor):
                self._weights[result] = known if name in _KEEPING else replace(known, last=None)
        elif name in _PRODUCTS:
            known = self._known(args[1:] if name == "einsum" else args[:1])
            if known is not None:
                across = known.last is False and name != "einsum"
                self._look_at("softmax", known.source, known.scores.movedim(known.axis, -1), across)
        elif name in _WHOLE and _trains():
            scores = (of_multi_head if name.startswith("multi") else of_scaled_product)(
                func, args, kwargs
            )
            if scores is not None:
                self._look_at(name, self._sources.line(), scores, False)

    def _known(self, args: tuple[Any, ...]) -> _Weights | None:
        for value in args:
            for item in value if isinstance(value, tuple | list) else (value,):
                if isinstance(item, Tensor) and item in self._weights:
                    found: _Weights = self._weights[item]
                    return found
        return None

    def _remember(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        scores = args[0] if args else kwargs.get("input")
        if not (is_plain(scores) and is_plain(result) and _trains() and result.requires_grad):
            return
        if result.dim() > 1:
            axis = softmax_axis(args, kwargs)
            last = axis == result.dim() - 1
            self._weights[result] = _Weights(scores.detach(), axis, self._sources.line(), last)

    def _look_at(self, name: str, source: str | None, scores: Tensor, across: bool) -> None:
        if source is None:
            return
        where = self._place(name, source)
        self._calls[where] = self._calls.get(where, 0) + 1
        if self._calls[where] > _MOST_CALLS:
            return
        with unrecorded():
            found = score_statistics(scores) | ahead_statistics(scores)
        if found:
            self._collector.add("train", where, {**found, "attention.across": float(across)})

    def _place(self, name: str, source: str) -> str:
        module = module_at_work(self._tree)
        frames = self._sources.stack()
        inside = module is not None and self._tree.name(module) or frames[0].f_code.co_name
        where = inside
        if self._places.setdefault(where, source) != source:
            where = f"{inside}@{source.rpartition(':')[2]}"
        if where not in self._places or where not in self._calls:
            self._places[where] = source
            made = self._tree.source(module) if module is not None else None
            whole = name.startswith("multi")
            self._emit(
                {
                    "event": "attention",
                    "where": where,
                    "source": made if whole and made else source,
                    "operation": name,
                    "call": f"{name}@{source}",
                    "module": inside if module is not None else None,
                }
            )
        return where


def _trains() -> bool:
    return torch.is_grad_enabled() and torch._C._current_graph_task_id() == -1
