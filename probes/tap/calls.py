"""Tells of every torch function that the program calls, while it is switched on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import torch
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
)

from probes.tap.guard import Guard
from probes.tap.transforms import is_transformed

CallListener = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None]
"""Takes the function, its arguments and its result. What it computes itself is not told of."""


class Interceptor(TorchFunctionMode):
    """A function mode that can be put on and taken off while others come and go."""

    def put_on(self) -> None:
        """See every call of a torch function from now on."""
        if self not in _active_modes():
            self.__enter__()  # type: ignore[no-untyped-call]

    def put_below(self) -> None:
        """See every call from now on, as the modes that are on already make it."""
        if self not in _active_modes():
            above = [_pop_mode() for _ in _active_modes()]  # type: ignore[no-untyped-call]
            self.put_on()
            for mode in reversed(above):
                _push_mode(mode)  # type: ignore[no-untyped-call]

    def take_off(self) -> None:
        """See no more calls; modes that lie on top stay where they are."""
        above: list[TorchFunctionMode] = []
        while self in _active_modes():
            mode = _pop_mode()  # type: ignore[no-untyped-call]
            if mode is not self:
                above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)  # type: ignore[no-untyped-call]


class CallLog(Interceptor):
    """While on, tells its listeners of every call of a torch function, after it was made.

    Arguments and results are passed through untouched. What happens within a transform of
    `torch.func` is not told: its tensors are no ones that could be looked at.

    Args:
        guard: Keeps errors of the listeners away from the program.
    """

    def __init__(self, guard: Guard | None = None) -> None:
        super().__init__()
        self._guard = guard or Guard()
        self._on = False
        self._handling = 0
        self._listeners: list[tuple[CallListener, Collection[str] | None]] = []
        self._interested: dict[str, list[CallListener]] = {}
        self.on_error: list[CallListener] = []
        """Told of calls that raise, with None for the result, before the script sees it."""

    def listen(self, listener: CallListener, to: Collection[str] | None = None) -> None:
        """Add a listener.

        Args:
            listener: Is told of the calls.
            to: Names of the functions that it is told of; all where it is left out.
        """
        self._listeners.append((listener, to))
        self._interested = {}

    @property
    def on(self) -> bool:
        """Whether it listens."""
        return self._on

    def switch_on(self) -> None:
        """Begin to listen: to what is computed, where remedies have changed the call."""
        self._on = True
        if not self._handling:  # Else torch has it aside, and puts it back after the call.
            self.put_below()

    def switch_off(self) -> None:
        """Stop listening; within a call, such as a backward pass that steps, it stays, but deaf."""
        self._on = False
        self.take_off()

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Tell nobody of what is called meanwhile: it is not the program's doing."""
        was_on, self._on = self._on, False
        try:
            yield
        finally:
            self._on = was_on

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self._handling += 1
        try:
            result = func(*args, **(kwargs or {}))
        except Exception:
            if self._on and not is_transformed():
                self._tell(self.on_error, func, args, kwargs or {}, None)
            raise
        finally:
            self._handling -= 1
        if self._on and not is_transformed():
            name = getattr(func, "__name__", "")
            interested = self._interested.get(name)
            if interested is None:
                interested = self._interested[name] = [
                    listener for listener, to in self._listeners if to is None or name in to
                ]
            if interested:
                self._tell(interested, func, args, kwargs or {}, result)
        return result

    def _tell(self, listeners: Iterable[CallListener], *call: Any) -> None:
        with torch._C.DisableTorchFunction():
            for listener in listeners:
                try:
                    listener(*call)
                except Exception as error:
                    if self._guard.complain(listener, error):
                        self._drop(listener)

    def _drop(self, listener: CallListener) -> None:
        self._listeners = [entry for entry in self._listeners if entry[0] is not listener]
        self.on_error = [other for other in self.on_error if other is not listener]
        self._interested = {}


def _active_modes() -> list[TorchFunctionMode]:
    return list(_get_current_function_mode_stack())  # type: ignore[no-untyped-call]
