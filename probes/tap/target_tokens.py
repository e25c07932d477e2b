"""Watches whether a model is to predict the very tokens that it was given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from probes._loss_functions import CATEGORICAL
from probes.tap.calls import CallLog
from probes.tap.dense import is_dense
from probes.tap.locate import Sources
from probes.tap.statistics import Collector
from probes.tap.unrecorded import unrecorded

LOOKUPS = ("embedding",)
_SHORTEST = 4
_MOST = 8


class TargetTokenWatch:
    """Compares the labels of classification losses with the tokens that were looked up before.

    Args:
        sources: Tells the user's line that computes the loss: that is where.
        calls: Tells of the calls.
        collector: Takes, in training, ``tokens.copied``, the share of labels that are the token at
            their place, ``tokens.shifted``, the share that are the one behind it,
            ``tokens.length`` of a sequence, and ``tokens.others``: how many other sequences, which
            differ from sample to sample, were looked up since the last loss (a source that is to be
            translated).
    """

    def __init__(self, sources: Sources, calls: CallLog, collector: Collector) -> None:
        self._sources = sources
        self._collector = collector
        self._on = False
        self._lookups = Lookups()
        calls.listen(self._note, {*LOOKUPS, *CATEGORICAL})

    def switch_on(self) -> None:
        """Watch the next step."""
        self._on = True

    def switch_off(self) -> None:
        """Watch no more, and let go of the tokens."""
        self._on = False
        self._lookups.forget()

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on:
            return
        name = getattr(func, "__name__", "")
        if name in LOOKUPS:
            self._lookups.add(args, kwargs)
        elif name in CATEGORICAL:
            target = kwargs.get("target", args[1] if len(args) > 1 else None)
            tokens = self._lookups.of(target)
            if is_dense(target) and tokens is not None and (line := self._sources.line()):
                with unrecorded():
                    found = _compared(target, tokens, kwargs.get("ignore_index", -100))
                    found["tokens.others"] = float(self._lookups.others(tokens))
                self._collector.add("train", line, found)
                self._lookups.forget()


class Lookups:
    """The latest sequences of tokens that an embedding was asked for, each shaped (batch, time)."""

    def __init__(self) -> None:
        self._given: deque[Tensor] = deque(maxlen=_MOST)

    def add(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Take the tokens of a call of an embedding, where they are sequences."""
        tokens = kwargs.get("input", args[0] if args else None)
        if is_dense(tokens) and tokens.dim() == 2 and tokens.shape[1] >= _SHORTEST:
            self._given.append(tokens.detach())

    def of(self, target: object) -> Tensor | None:
        """The latest that are as many as the labels of a loss, in the same order.

        Args:
            target: Labels, shaped (batch, time) or (batch * time,).
        """
        if not is_dense(target) or target.is_floating_point():
            return None
        fits = (each for each in reversed(self._given) if _has_as_many(target, each))
        return next(fits, None)

    def others(self, tokens: Tensor) -> int:
        """How many are of other sequences than these, not of places or kinds of tokens."""
        others = [each for each in self._given if each is not tokens and len(each) == len(tokens)]
        return sum(
            not (each.shape == tokens.shape and bool((each == tokens).all()))
            and not bool((each == each[:1]).all())
            for each in others
        )

    def forget(self) -> None:
        """Let go of them."""
        self._given.clear()


def _has_as_many(target: Tensor, tokens: Tensor) -> bool:
    return target.shape == tokens.shape or target.shape == (tokens.numel(),)


def _compared(target: Tensor, tokens: Tensor, ignored: int) -> dict[str, Tensor | float]:
    labels, tokens = target.detach().reshape(tokens.shape), tokens.to(target.device)
    counts = labels != ignored
    same = (labels == tokens) & counts
    behind = (labels[:, :-1] == tokens[:, 1:]) & counts[:, :-1]
    return {
        "tokens.copied": same.sum() / counts.sum().clamp_min(1),
        "tokens.length": float(tokens.shape[1]),
        "tokens.shifted": behind.sum() / counts[:, :-1].sum().clamp_min(1),
    }
