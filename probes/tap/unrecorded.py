"""What the tap computes for itself."""

from __future__ import annotations

import contextlib
from types import TracebackType

import torch


class unrecorded(contextlib.ContextDecorator):
    """What is computed meanwhile takes no gradient, and no function mode is told of it.

    Unlike ``torch.no_grad``, whose blocks are watched: a step would have a hundred more of them.
    """

    def __enter__(self) -> None:
        self._quiet = torch._C.DisableTorchFunction()
        self._quiet.__enter__()
        self._before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        torch._C._set_grad_enabled(self._before)
        self._quiet.__exit__(kind, error, traceback)

    def _recreate_cm(self) -> unrecorded:
        return type(self)()  # A function that it decorates may call another one.
