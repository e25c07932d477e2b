"""R203: more weight for a weak loss term."""

from __future__ import annotations

from collections.abc import Iterable

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.space import Range, Space


class StrengthenTerm(_terms.FactorOnTerm):
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

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(2.0, 100.0, default=5.0, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The term with the smallest share of the gradient, where there are two or more."""
        terms = _terms.by_share(trace)
        return reversed(terms[1:])
