"""Names parameters, those of modules that no other module has registered, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from probes.tap.locate import Sources, variables
from probes.tap.modules import ModuleTree
from probes.trace import Event

_MOST_ITEMS = 100


class Owners:
    """Finds the module that a parameter belongs to.

    A module that another one holds in a plain list is no part of it for PyTorch. It is named after
    the attribute all the same, and told about with a ``module`` event.

    Args:
        tree: Names the registered modules.
        sources: Tells the user's lines.
        emit: Takes ``module`` events.
    """

    def __init__(self, tree: ModuleTree, sources: Sources, emit: Callable[[Event], None]) -> None:
        self._tree = tree
        self._sources = sources
        self._emit = emit
        self._hidden: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._holders: dict[int, tuple[nn.Module, str]] = {}

    def refresh(self) -> None:
        """Look which parameters there are now."""
        self._names = self._tree.parameter_names()
        self._holders = {
            id(own): (module, key)
            for module in self._tree.alive()
            for key, own in module.__dict__.get("_parameters", {}).items()
            if own is not None
        }

    def name(self, parameter: Tensor) -> str | None:
        """Name of a parameter; None where nothing is known to hold it."""
        if id(parameter) in self._names:
            return self._names[id(parameter)]
        if id(parameter) in self._holders:
            module, key = self._holders[id(parameter)]
            return f"{self._module(module)}.{key}"
        return self._variable(parameter)

    def was_made(self, parameter: Tensor) -> bool:
        """Whether the program made it, other than by copying or unpickling a module."""
        return id(parameter) in self._holders or not isinstance(parameter, nn.Parameter)

    def _module(self, module: nn.Module) -> str:
        name = self._tree.name(module) or self._hidden.get(id(module))
        if name is None:
            name = self._hidden[id(module)] = self._held_at(module) or type(module).__name__
            self._emit(
                {
                    "event": "module",
                    "where": name,
                    "type": type(module).__name__,
                    "source": self._tree.source(module),
                    "parent": None,
                    "parameters": sum(p.numel() for p in module.parameters()),
                }
            )
        return name

    def _held_at(self, module: nn.Module) -> str | None:
        for holder in self._tree.alive():
            for key, value in list(vars(holder).items()):
                if key.startswith("_"):
                    continue
                for item, held in _items(value):
                    if held is module or (
                        isinstance(held, nn.Module) and any(m is module for m in held.modules())
                    ):
                        return f"{key}.{item}"
        return None

    def _variable(self, parameter: Tensor) -> str | None:
        for frame in self._sources.stack():
            for name, value in variables(frame).items():
                if value is parameter:
                    return name
                if any(held is parameter for _, held in _items(value)):
                    return name
        return None


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) in (list, tuple) and len(value) <= _MOST_ITEMS:
        yield from ((str(number), item) for number, item in enumerate(value))
    elif isinstance(value, Mapping) and type(value) is dict and len(value) <= _MOST_ITEMS:
        yield from ((str(key), item) for key, item in value.items())
