"""Watches whether a model is to predict the very tokens that it was given."""

from __future__ import annotations

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
        self._given: list[Tensor] = []
        calls.listen(self._note, {*LOOKUPS, *CATEGORICAL})

    def switch_on(self) -> None:
        """Watch the next step."""
        self._on = True

    def switch_off(self) -> None:
        """Watch no more, and let go of the tokens."""
        self._on, self._given = False, []

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on:
            return
        name = getattr(func, "__name__", "")
        if name in LOOKUPS:
            self._given = [*self._given, *looked_up(args, kwargs)][-_MOST:]
        elif name in CATEGORICAL and self._given:
            target = kwargs.get("target", args[1] if len(args) > 1 else None)
            tokens = tokens_of(target, self._given)
            if is_dense(target) and tokens is not None and (line := self._sources.line()):
                with unrecorded():
                    found = _compared(target, tokens, kwargs.get("ignore_index", -100))
                    found["tokens.others"] = float(_others(tokens, self._given))
                self._collector.add("train", line, found)
                self._given = []


def looked_up(args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tokens that an embedding is asked for, where they are sequences: (batch, time)."""
    tokens = kwargs.get("input", args[0] if args else None)
    if not is_dense(tokens) or tokens.dim() != 2 or tokens.shape[1] < _SHORTEST:
        return []
    return [tokens.detach()]


def tokens_of(target: object, given: Sequence[Tensor]) -> Tensor | None:
    """The latest of the tokens that are as many as the labels of a loss, in the same order.

    Args:
        target: Labels, shaped (batch, time) or (batch * time,).
        given: Tokens, each shaped (batch, time).
    """
    if not is_dense(target) or target.is_floating_point():
        return None
    return next(
        (
            tokens
            for tokens in reversed(given)
            if target.shape == tokens.shape or target.shape == (tokens.numel(),)
        ),
        None,
    )


def _compared(target: Tensor, tokens: Tensor, ignored: int) -> dict[str, Tensor | float]:
    labels = target.detach().reshape(tokens.shape)
    counts = labels != ignored
    same = (labels == tokens.to(labels.device)) & counts
    behind = (labels[:, :-1] == tokens.to(labels.device)[:, 1:]) & counts[:, :-1]
    return {
        "tokens.copied": same.sum() / counts.sum().clamp_min(1),
        "tokens.length": float(tokens.shape[1]),
        "tokens.shifted": behind.sum() / counts[:, :-1].sum().clamp_min(1),
    }


def _others(tokens: Tensor, given: Sequence[Tensor]) -> int:
    """How many of the lookups are of other sequences, not of places or kinds of tokens."""
    others = [each for each in given if each is not tokens and len(each) == len(tokens)]
    return sum(
        not (each.shape == tokens.shape and bool((each == tokens).all()))
        and not bool((each == each[:1]).all())
        for each in others
    )
