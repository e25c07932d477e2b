"""Attributes that look as if they froze something, and are nothing but attributes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch import nn

from probes.tap.locate import Sources

_OF_MODULES = ("requires_grad", "require_grad", "requires_grads", "requires_gradient", "trainable")
_OF_PARAMETERS = _OF_MODULES[1:]


class FreezeFlags:
    """Notes where a script sets ``requires_grad`` on a module, or misspells it on a parameter.

    PyTorch takes any attribute: ``model.encoder.requires_grad = False`` changes nothing. What a
    class sets on itself while it is made is an option of its own, and does not count.

    Args:
        sources: Tells the user's lines.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lines: dict[int, tuple[weakref.ref[Any], str]] = {}

    def install(self) -> Callable[[], None]:
        """Begin to note them; returns what undoes it."""
        wanted: list[tuple[type, str]] = [(nn.Module, name) for name in _OF_MODULES]
        wanted += [(nn.Parameter, name) for name in _OF_PARAMETERS]
        taken = [(owner, name) for owner, name in wanted if not hasattr(owner, name)]
        for owner, name in taken:
            setattr(owner, name, _Noted(name, self._set))

        def undo() -> None:
            for owner, name in taken:
                delattr(owner, name)

        return undo

    def line(self, thing: object) -> str | None:
        """The line that set such an attribute to False; None where none is."""
        reference, line = self._lines.get(id(thing), (None, ""))
        return line if reference is not None and reference() is thing else None

    def _set(self, thing: Any, value: object) -> None:
        if value is not False:
            self._lines.pop(id(thing), None)
            return
        frame = next(iter(self._sources.stack()), None)
        if frame is None:
            return
        made_by_itself = frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is thing
        if not made_by_itself:
            line = self._sources.place(frame.f_code, frame.f_lineno)
            self._lines[id(thing)] = weakref.ref(thing), line


class _Noted:
    """An attribute that is kept in its object as usual, and is told of when it is set."""

    def __init__(self, name: str, told: Callable[[Any, object], None]) -> None:
        self._name = name
        self._told = told

    def __get__(self, thing: Any, owner: type | None = None) -> Any:
        if thing is None or self._name not in thing.__dict__:
            raise AttributeError(f"{owner} has no attribute {self._name!r}")
        return thing.__dict__[self._name]

    def __set__(self, thing: Any, value: object) -> None:
        thing.__dict__[self._name] = value
        self._told(thing, value)

    def __delete__(self, thing: Any) -> None:
        if self._name not in thing.__dict__:
            raise AttributeError(self._name)
        del thing.__dict__[self._name]
        self._told(thing, None)
