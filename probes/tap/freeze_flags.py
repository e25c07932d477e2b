"""Attributes that look as if they froze something, and are nothing but attributes."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable, Iterator

from torch import nn

from probes.tap.locate import Sources

_OF_MODULES = ("requires_grad", "require_grad", "requires_grads", "requires_gradient", "trainable")
_OF_PARAMETERS = _OF_MODULES[1:]


class FreezeFlags:
    """Finds where a script sets ``requires_grad`` on a module, or misspells it on a parameter.

    PyTorch takes any attribute: ``model.encoder.requires_grad = False`` changes nothing. What a
    class sets on itself is an option of its own, and does not count.

    Args:
        sources: Tells the user's files.
        name: Tells the path of a module.
    """

    def __init__(self, sources: Sources, name: Callable[[nn.Module], str | None]) -> None:
        self._sources = sources
        self._name = name
        self._assignments: dict[str, list[tuple[str, str]]] | None = None
        self._options: set[tuple[str, str]] = set()

    def line(self, thing: object) -> str | None:
        """The line that sets such an attribute of a module or parameter to False.

        None where it has no such attribute, and where no line is seen to set it.
        """
        names = _OF_MODULES if isinstance(thing, nn.Module) else _OF_PARAMETERS
        held = getattr(thing, "__dict__", {})
        flag = next((name for name in names if held.get(name) is False), None)
        if flag is None:
            return None
        if self._assignments is None:
            self._assignments = self._read()
        if any((kind.__name__, flag) in self._options for kind in type(thing).__mro__):
            return None
        found = self._assignments.get(flag, [])
        path = self._name(thing) if isinstance(thing, nn.Module) else None
        own = (path or "").rpartition(".")[2]
        named = [line for owner, line in found if own and owner.rpartition(".")[2] == own]
        return next(iter([*named, *(line for _, line in found)]), None)

    def _read(self) -> dict[str, list[tuple[str, str]]]:
        """Owner, as it is written, and line of all that sets such an attribute, by attribute."""
        found: dict[str, list[tuple[str, str]]] = {}
        files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        for file in sorted(file for file in files if isinstance(file, str)):
            name = self._sources.name(file) if file.endswith(".py") else None
            if name is not None:
                tree = ast.parse("".join(linecache.getlines(file)))
                self._options |= set(_options(tree))
                for target in _set_to_false(tree):
                    place = ast.unparse(target.value), f"{name}:{target.lineno}"
                    found.setdefault(target.attr, []).append(place)
        return found


def _options(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Class and attribute of all that classes set on themselves while they are made."""
    for kind in ast.walk(tree):
        if isinstance(kind, ast.ClassDef):
            for node in ast.walk(kind):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    if ast.unparse(node.value) == "self":
                        yield kind.name, node.attr


def _set_to_false(tree: ast.Module) -> Iterator[ast.Attribute]:
    """What is set to False, but for what is a parameter indeed."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    real = {
        id(inner)
        for loop in loops
        if "parameters(" in ast.unparse(loop.iter)
        for node in loop.body
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not _is_false(node.value):
            continue
        for target in node.targets:
            if isinstance(target, ast.Attribute) and target.attr in _OF_MODULES:
                if target.attr != "requires_grad" or id(target) not in real:
                    yield target


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
