"""R203: more weight for a weak loss term."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.base import Remedy
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class StrengthenTerm(Remedy):
    """More weight for a weak loss term.

    What it does:
        Multiplies the gradient of one loss term by a factor above one, in every backward pass.

    When it helps:
        A penalty or an auxiliary term is too weak to have its effect. It is what people try first
        when a representation collapses ("raise the variance penalty"), and seldom the cause: it is
        offered so that the trials can refute it.

    Parameters:
        ``factor``: from 2 to 100, searched on a log scale.

    In the script:
        Multiply the term's weight by the factor where the loss is put together.

    Source:
        The investigation of a context collapse in which a fivefold variance penalty lifted the
        spread in training and left validation collapsed.
    """

    code = "R203"
    name = "strengthen-term"
    treats = {"P101": 0.1, "P102": 0.1, "P201": 0.2}
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(2.0, 100.0, default=5.0, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The term with the smallest share of the gradient, where there are two or more."""
        terms = _terms.by_share(trace)
        return reversed(terms[1:])

    def apply(self, program: Program, action: Action) -> None:
        """Scale the gradient of the term."""
        _terms.scale(program, action, float(action.params["factor"]))

    def advice(self, action: Action) -> str:
        """By what to multiply which weight."""
        factor = float(action.params["factor"])
        return f"Multiply the weight of {action.target} in the loss by {factor:.3g}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply the term's weight where the loss is put together."""
        for name in action.targets:
            source.scale_term(name, float(action.params["factor"]))
