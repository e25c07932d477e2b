"""Finds the calls that take a tensor out of the graph, and the parameters that lie behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from probes.tap.calls import CallLog
from probes.tap.guard import quietly
from probes.tap.modules import ModuleTree
from probes.tap.no_grad import NoGradBlocks
from probes.tap.noise_places import module_at_work
from probes.tap.optimizers import Optimizers
from probes.tap.statistics import Collector
from probes.tap.terms import parameters_below

_STEPS = 4
_MOST_LINES = 24
DETACHING = ("detach", "data")
_LEAVING = {"item", "tolist", "numpy", "__float__", "__array__"}
"""Methods whose result is no tensor any more."""


class CutWatch:
    """Notes in the first steps by which line a parameter is kept out of the graph.

    Any function counts that is given a tensor with a graph and returns one without. A parameter
    that takes part within ``no_grad`` is noted with the line of the block, one that asks for no
    gradient with the line that uses it.

    Args:
        optimizers: Tells the user's line.
        calls: Tells of the calls.
        blocks: Tells the line of ``no_grad``.
        tree: Knows the modules.
        collector: Takes ``cut.detach`` at ``detach@file.py:12``, a call within the forward pass
            of a module; and the same of ``data``.
    """

    def __init__(
        self,
        optimizers: Optimizers,
        calls: CallLog,
        blocks: NoGradBlocks,
        tree: ModuleTree,
        collector: Collector,
    ) -> None:
        self._optimizers = optimizers
        self._tree = tree
        self._collector = collector
        self._blocks = blocks
        self._on = False
        self._steps = 0
        self._found: dict[int, dict[str, str]] = {}
        self._lines: set[tuple[str, str]] = set()
        calls.listen(self._note)

    def switch_on(self) -> None:
        """Watch the calls of the next step, if it is one of the first."""
        self._on = self._steps < _STEPS
        self._steps += 1

    def switch_off(self) -> None:
        """Watch no more."""
        self._on = False
        self._lines = set()

    def behind(self, parameter: Tensor) -> dict[str, str]:
        """The kinds of cuts that a parameter lies behind, and the line of the first of each."""
        return self._found.get(id(parameter), {})

    @quietly
    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or torch._C._current_graph_task_id() != -1:
            return
        given = list(tensors_in((*args, *kwargs.values())))
        if not torch.is_grad_enabled():
            if self._blocks.line is not None:
                self._keep("no_grad", self._blocks.line, _parameters(given))
            return
        frozen = [p for p in _parameters(given) if not p.requires_grad]
        if frozen and isinstance(result, Tensor):
            self._keep("frozen", self._optimizers.line() or "", frozen)
        name = name_of(func)
        graphs = [value.grad_fn for value in given if value.grad_fn is not None]
        if graphs and _cuts(name, result):
            line = self._optimizers.line()
            if line is None or (line, name) in self._lines or len(self._lines) >= _MOST_LINES:
                return
            self._lines.add((line, name))
            if name in DETACHING and module_at_work(self._tree) is not None:
                self._collector.add("train", f"{name}@{line}", {f"cut.{name}": 1.0})
            self._keep(name, line, parameters_below([g for g in graphs if g is not None]))

    def _keep(self, kind: str, line: str, parameters: Iterable[Tensor]) -> None:
        for parameter in parameters:
            self._found.setdefault(id(parameter), {}).setdefault(kind, line)


def name_of(func: Callable[..., Any]) -> str:
    """Name of a torch function; of a property, the name of the property."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", name))
    return name


def _cuts(name: str, result: Any) -> bool:
    if name in _LEAVING:
        return True
    if name in ("grad", "grad_fn", "is_leaf") or not isinstance(result, Tensor):
        return False
    return not result.requires_grad


def _parameters(given: Iterable[Tensor]) -> list[Tensor]:
    return [value for value in given if isinstance(value, nn.Parameter)]


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among values, and in lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif type(value) in (list, tuple):
            yield from (item for item in value if isinstance(item, Tensor))
