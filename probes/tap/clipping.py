"""Watches gradient clipping: the norm that came in, and the one that is let through."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from probes.tap.locate import Sources
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded

NORM_CLIPPERS = ("clip_grad_norm_", "clip_grad_norm")
VALUE_CLIPPERS = ("clip_grad_value_",)


class ClipWatch:
    """Wraps the clipping functions of ``torch.nn.utils``; looks on at probed steps.

    Signals, at the line that calls, ``file.py:12``: ``clip.norm``, the norm of all gradients
    before clipping, or their largest entry where entries are clipped; ``clip.limit``, what it is
    clipped to; ``clip.entries``, 1 where entries are clipped and 0 for norms.

    Args:
        sources: Tells the user's lines.
        collector: Takes the signals.
    """

    def __init__(self, sources: Sources, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo: list[Callable[[], None]] = []
        for owner in (nn.utils, nn.utils.clip_grad):
            for name in (*NORM_CLIPPERS, *VALUE_CLIPPERS):
                if hasattr(owner, name):
                    undo.append(self._wrap(owner, name))

        def put_back() -> None:
            while undo:
                undo.pop()()

        return put_back

    def switch_on(self) -> None:
        """Look on at the next calls."""
        self._on = True

    def switch_off(self) -> None:
        """Let all calls pass unseen."""
        self._on = False

    def _wrap(self, owner: Any, name: str) -> Callable[[], None]:
        original = getattr(owner, name)
        entries = name in VALUE_CLIPPERS

        @functools.wraps(original)
        def clip(parameters: Any, limit: Any = None, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(parameters, Tensor):
                parameters = list(parameters)
            given = (parameters,) if limit is None else (parameters, limit)
            if not self._on:
                return original(*given, *args, **kwargs)
            if limit is None:
                limit = kwargs.get("clip_value" if entries else "max_norm")
            largest = _largest(parameters) if entries else None
            result = original(*given, *args, **kwargs)
            self._note(largest if entries else result, limit, entries)
            return result

        setattr(owner, name, clip)
        return lambda: setattr(owner, name, original)

    def _note(self, norm: Any, limit: Any, entries: bool) -> None:
        frames = self._sources.stack()
        if norm is None or not frames:
            return
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            with unrecorded():
                norm = norm.detach().clone() if isinstance(norm, Tensor) else float(norm)
                found = {"clip.norm": norm, "clip.limit": float(limit)}
                found["clip.entries"] = float(entries)
                place = self._sources.place(frames[0].f_code, frames[0].f_lineno)
                self._collector.add("train", place, found)


def _largest(parameters: Any) -> Tensor | None:
    """The largest absolute entry of all dense gradients."""
    with contextlib.suppress(TypeError, ValueError, RuntimeError, AttributeError):
        with unrecorded():
            held = [parameters] if isinstance(parameters, Tensor) else parameters
            gradients = [
                p.grad.detach()
                for p in held
                if p.grad is not None and p.grad.layout == torch.strided and p.grad.numel()
            ]
            if gradients:
                return torch.stack([g.abs().max().float() for g in gradients]).max()
    return None
