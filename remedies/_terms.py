"""What the remedies that change the weight of a loss term have in common."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.helpers import Helper
    from remedies.source.source import Source
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


def before_noise(trace: Trace) -> list[str]:
    """The terms that train what comes before the noise and nothing after; else the loudest one."""
    return trace.places("noise.rate") or by_share(trace)[:1]


def made_by(operations: Container[str], symptoms: Iterable[Symptom], trace: Trace) -> list[str]:
    """Loss terms that one of these torch functions computes: those that symptoms name, or all."""
    found = [info.where for info in trace.terms.values() if info.operation in operations]
    named = {symptom.where for symptom in symptoms}
    return [where for where in found if where in named] or found


def scale(program: Program, action: Action, factor: float) -> None:
    """Multiply the gradients of all targets of an action.

    Raises:
        ValueError: The action names no loss term, or the factor is negative.
    """
    if not action.targets or factor < 0:
        raise ValueError(f"{action}: needs a loss term and a factor that is not negative")
    for name in action.targets:
        program.scale_term(action, name, lambda: factor)


class FactorOnTerm(Remedy):
    """A remedy that multiplies the weight of a loss term by its parameter ``factor``."""

    acts_on = "a loss term"

    def apply(self, program: Program, action: Action) -> None:
        """Scale the gradient of the term."""
        scale(program, action, float(action.params["factor"]))

    def advice(self, action: Action) -> str:
        """By what to multiply which weight."""
        factor = float(action.params["factor"])
        return f"Multiply the weight of {action.target} in the loss by {factor:.3g}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply the term's weight where the loss is put together."""
        for name in action.targets:
            source.scale_term(name, float(action.params["factor"]))

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook that multiplies the gradient of the term, as the treatment did."""
        from remedies.source.term_hooks import scaled

        if "factor" not in action.params or len(action.targets) != 1:
            raise Unwritable("the factor is another one in every step")
        return scaled(source, action.target, float(action.params["factor"]))
