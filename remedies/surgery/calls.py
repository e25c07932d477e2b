"""Changes what torch functions give back to the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from probes.tap.calls import Interceptor

Rewrite = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Takes a torch function and its arguments; gives the result, or `NotImplemented` to pass."""


class CallRewriter(Interceptor):
    """Asks its rewrites for the result of every torch function; the first answer counts.

    The functions that a rewrite calls itself are not rewritten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rewrites: list[Rewrite] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        for rewrite in self.rewrites:
            result = rewrite(func, args, kwargs)
            if result is not NotImplemented:
                return result
        return func(*args, **kwargs)
