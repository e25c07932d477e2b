"""What the remedies that change the weight of a loss term have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.trace import Trace
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.surgery import Program


def by_share(trace: Trace) -> list[str]:
    """Loss terms that share parameters with others, the largest share of the gradient first."""
    shares = {}
    for where in trace.places("term.share"):
        values = trace.signal("train", where, "term.share").finite.values
        late = values[len(values) // 2 :]
        if late:
            shares[where] = sum(late) / len(late)
    return sorted(shares, key=lambda where: -shares[where])


def scale(program: Program, action: Action, factor: float) -> None:
    """Multiply the gradients of all targets of an action.

    Raises:
        ValueError: The action names no loss term, or the factor is negative.
    """
    if not action.targets or factor < 0:
        raise ValueError(f"{action}: needs a loss term and a factor that is not negative")
    for name in action.targets:
        program.scale_term(action, name, lambda: factor)
