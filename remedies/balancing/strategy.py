"""What a strategy is, and how it comes to bear on a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from probes.tap.terms import LossTerm
from remedies.surgery.program import Program, scale_gradient
from remedies.treatment import Action


class Strategy(Protocol):
    """Weighs the terms of a loss."""

    def factors(self, loss: Tensor, terms: Sequence[LossTerm]) -> list[float]:
        """By what to multiply the gradient of each term in this backward pass.

        Args:
            loss: The loss, a scalar whose graph is still there.
            terms: Its terms, two or more.
        """


def balance(program: Program, action: Action, strategy: Strategy) -> None:
    """Weigh all terms of each loss that has one of the action's targets among them."""

    def listener(loss: Tensor, terms: list[LossTerm]) -> None:
        ours = set(action.targets) & {term.name for term in terms}
        if len(terms) < 2 or not ours:
            return
        factors = strategy.factors(loss, terms)
        for term, factor in zip(terms, factors, strict=True):
            scale_gradient(term, factor)
        told = ", ".join(
            f"{term.name} times {factor:.3g}" for term, factor in zip(terms, factors, strict=True)
        )
        for name in ours:
            program.report(action, name, f"gradients at first: {told}")

    program.on_backward(listener)
