"""Tells which lines of the program change a copy of its model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from probes.tap.calls import CallLog
from probes.tap.dense import is_dense
from probes.tap.locate import Sources
from probes.tap.statistics import Collector
from probes.tap.twins import Twin

_FUNCTIONS = {
    "lerp_", "mul_", "add_", "sub_", "copy_", "__set__", "_foreach_lerp_", "_foreach_mul_",
    "_foreach_add_", "_foreach_copy_", "__iadd__", "__isub__", "__imul__",
}  # fmt: skip
"""What tensors are changed by; ``__set__`` is ``data = ...``."""


class CopyWrites:
    """Notes the first line that changes each of some copies.

    Args:
        sources: Tells the user's lines.
        calls: Tells of the calls.
        collector: Takes ``average.written``, 1, at ``model@file.py:12``.
    """

    def __init__(self, sources: Sources, calls: CallLog, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._memory: dict[int, Twin] = {}
        calls.listen(self._note, _FUNCTIONS)

    def watch(self, twins: Iterable[Twin]) -> None:
        """Look for the next change of each copy."""
        # Of `data = ...` the memory is another one afterwards, and what `.data` gives is another
        # tensor: the one is told by its identity, the other one by its memory.
        self._memory = {
            key: twin
            for twin in twins
            for parameter in twin.parameters()[0]
            for key in (id(parameter), parameter.data_ptr())
        }

    def forget(self) -> None:
        """Look no more."""
        self._memory = {}

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        changed = args[0] if args and self._memory else None
        if isinstance(changed, list | tuple) and changed:
            changed = changed[0]
        if not is_dense(changed):
            return
        twin = self._memory.get(id(changed)) or self._memory.get(changed.data_ptr())
        line = self._sources.line() if twin is not None else None
        if twin is not None and line is not None:
            self._collector.add("train", f"{twin.where}@{line}", {"average.written": 1.0})
            self._memory = {key: own for key, own in self._memory.items() if own is not twin}
