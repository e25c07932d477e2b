"""Rounds of a loop: what lies between two calls that take the same state out of the graph."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.graph import Node

from probes.tap.noise_places import is_leaf

_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_ATTENTION = "scaled_dot_product_attention"
_MULTI_HEAD = "multi_head_attention_forward"


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A call that took a state out of the graph.

    Attributes:
        line: The line of the user's that made it.
        began: How many operations the graphs had when the state was cut at this line first.
        made: How many they had now.
        carried: Whether the first of these states was computed before the last backward pass.
        rounds: How often the state has gone around since, each time by the same parameters.
        used: The parameters, by identity; None where it did not go around yet.
    """

    line: str
    began: int
    made: int
    carried: bool
    rounds: int = 0
    used: frozenset[int] | None = None

    def followed_by(self, state: Node, now: int) -> Cut | None:
        """The cut of a state that was computed from the result of this one, where it is a round."""
        used = _used_since(self, state)
        if not used or (self.used is not None and not used <= self.used):
            return None
        return Cut(self.line, self.began, now, self.carried, self.rounds + 1, used)


def operations() -> int:
    """How many operations the graphs of this thread had so far."""
    return int(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]


def sees_several(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call computes several positions of a sequence at once."""
    if name in _RECURRENT:
        return bool(args[0].shape[int(args[-1] is True)] > 1)  # The last says: batch first.
    if name in (_ATTENTION, _MULTI_HEAD):
        query = kwargs["query"] if "query" in kwargs else args[0]
        return bool(query.shape[-2 if name == _ATTENTION else 0] > 1)
    return False


def _used_since(cut: Cut, state: Node) -> frozenset[int] | None:
    """The parameters that a state was computed by since a cut, most of them used once.

    None where they were used more often, or a gradient leads to a round before.
    """
    uses: Counter[int] = Counter()
    stack, seen = [state], {state}
    while stack:
        for child, _ in stack.pop().next_functions:
            if child is None or child in seen:
                continue
            if is_leaf(child):
                uses[id(child.variable)] += 1  # type: ignore[attr-defined]
            elif child._sequence_nr() >= cut.made:
                seen.add(child)
                stack.append(child)
            elif child._sequence_nr() >= cut.began:
                return None
    return frozenset(uses) if uses and statistics.median(uses.values()) <= 1 else None
