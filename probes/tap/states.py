"""Watches for states of modules that are no copies: loading them gives back what is there."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from probes.tap.guard import quietly
from probes.tap.kept_states import KeptState, compared, is_same, is_shared, sample_of_module
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded
from probes.tap.wrap import all_undone, wrap

_MOST_KEPT = 32
_MOST_TOLD = 64


@dataclass(slots=True)
class _History:
    kept: list[KeptState] = field(default_factory=list)
    loads: int = 0


class StateWatch:
    """Compares a state that is loaded into a module with what the module has already.

    Told where training has changed the module since its state was taken. Which one is loaded is
    known by its tensors. Where they are others in the same memory, it is the latest; where they
    were computed, the first of those that the script holds and took since the last load.

    Signals at ``module@taken.py:12@loaded.py:34``: ``state.idle``, 1 where loading it changes
    nothing, else 0; ``state.shared``, 1 where it has the module's own memory, 0 where it was
    computed from such; ``state.age``, optimizer steps since it was taken.

    Args:
        tree: Names the modules.
        sources: Tells the user's lines.
        collector: Takes the signals.
        step: Gives the number of the optimizer step.
    """

    def __init__(
        self, tree: ModuleTree, sources: Sources, collector: Collector, step: Callable[[], int]
    ) -> None:
        self._tree = tree
        self._sources = sources
        self._collector = collector
        self._step = step
        self._known: weakref.WeakKeyDictionary[nn.Module, _History] = weakref.WeakKeyDictionary()
        self._told: Counter[str] = Counter()

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = [
            wrap(nn.Module, "state_dict", gave=self._taken),
            wrap(nn.Module, "load_state_dict", before=self._loaded),
        ]
        return all_undone(undo)

    @quietly
    def _taken(self, state: Any, module: nn.Module, *args: Any, **kwargs: Any) -> None:
        line = self._sources.line()
        # With a destination, it is a part of a larger state; what keeps variables says so.
        if args or kwargs.get("destination") is not None or kwargs.get("keep_vars") or not line:
            return
        with unrecorded():
            sample = sample_of_module(module)
        if sample is None:
            return
        given = [weakref.ref(value) for value in state.values() if isinstance(value, Tensor)]
        history = self._known.setdefault(module, _History())
        kept = [each for each in history.kept if each.held][-_MOST_KEPT:]
        history.kept = [*kept, KeptState(line, self._step(), history.loads, given, sample)]

    @quietly
    def _loaded(
        self, module: nn.Module, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        history = self._known.get(module)
        if history is None:
            return
        history.loads += 1
        with unrecorded():
            shared = any(is_shared(mine, given) for mine, given in compared(module, state_dict))
            meant = self._meant(history, module, state_dict, shared)
            if meant is None:
                return
            idle = all(is_same(mine, given) for mine, given in compared(module, state_dict))
        self._tell(module, meant, idle, shared)

    def _meant(
        self, history: _History, module: nn.Module, state: Mapping[str, Any], shared: bool
    ) -> KeptState | None:
        """The state that is loaded, if training has changed it."""
        found = [kept for kept in history.kept if kept.is_in(state)]
        if not found and shared:
            found = history.kept[-1:]
        elif not found:
            fresh = [kept for kept in history.kept if kept.load == history.loads - 1 and kept.held]
            found = [kept for kept in fresh if self._is_trained(kept, module)][:1]
        return found[0] if found and all(self._is_trained(k, module) for k in found) else None

    def _is_trained(self, kept: KeptState, module: nn.Module) -> bool:
        return self._step() > kept.step and kept.has_changed(module)

    def _tell(self, module: nn.Module, kept: KeptState, idle: bool, shared: bool) -> None:
        place = f"{self._tree.name(module)}@{kept.line}@{self._sources.line()}"
        self._told[place] += 1
        if self._tree.name(module) is None or self._told[place] > _MOST_TOLD:
            return
        found = {
            "state.idle": float(idle),
            "state.shared": float(shared),
            "state.age": float(self._step() - kept.step),
        }
        self._collector.add("train", place, found)
