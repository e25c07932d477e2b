"""Keeps what goes wrong in the tap away from the program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from probes.trace import Event

_PATIENCE = 3
"""Errors of one observer after which it is not called any more."""


class Guard:
    """Calls observers so that no exception of theirs reaches the program.

    An exception that is not an `Exception` (the end of the training, an interrupt) passes.

    Args:
        emit: Takes a note about the first error of each observer.
    """

    def __init__(self, emit: Callable[[Event], None] = lambda event: None) -> None:
        self._emit = emit
        self._errors: dict[str, int] = {}

    def __call__(self, observer: Callable[..., Any]) -> Callable[..., Any]:
        """The observer, guarded; gives None where it fails, and after it failed too often."""
        name = _name(observer)

        @functools.wraps(observer)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if self._errors.get(name, 0) >= _PATIENCE:
                return None
            try:
                # What an observer asks of a tensor is none of the program's calls.
                with torch._C.DisableTorchFunction():
                    return observer(*args, **kwargs)
            except Exception as error:
                self.complain(observer, error)
                return None

        return guarded

    def shield(self, owner: object, *methods: str) -> None:
        """Guard methods of an object, where it has them."""
        for method in methods:
            if hasattr(owner, method):
                setattr(owner, method, self(getattr(owner, method)))

    def complain(self, observer: Callable[..., Any], error: Exception) -> bool:
        """Take note of an error; says whether there were too many of them."""
        name = _name(observer)
        self._errors[name] = self._errors.get(name, 0) + 1
        if self._errors[name] == 1:
            lines = str(error).strip().splitlines()
            why = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
            self._emit({"event": "note", "text": f"not everything was observed ({name}: {why})"})
        return self._errors[name] >= _PATIENCE


def _name(observer: Callable[..., Any]) -> str:
    return str(getattr(observer, "__qualname__", repr(observer)))


def quietly(observe: Callable[..., Any]) -> Callable[..., Any]:
    """Let an observation fail without a word: the program goes on, unobserved for once."""

    @functools.wraps(observe)
    def observed(*args: Any, **kwargs: Any) -> Any:
        try:
            with torch._C.DisableTorchFunction():
                return observe(*args, **kwargs)
        except Exception:
            return None

    return observed
