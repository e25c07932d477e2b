"""R202: a loss term left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


_NOISE = ("P401", "P402")


class DropTerm(Remedy):
    """A loss term left out.

    What it does:
        Multiplies the gradient of one loss term by zero, so that nothing is trained by it.

    When it helps:
        The term pulls away from what the metric measures, and no weight of it does any good: the
        simplest cure is to do without. Or it keeps a noisy code so near its prior that nothing
        gets through, as the KL term of a variational encoder does at too large a weight.

    Parameters:
        None.

    In the script:
        Take the term out of the sum, or set its weight to 0.

    Source:
        Ablation; see also Yu et al. 2020, Gradient Surgery for Multi-Task Learning, for terms whose
        gradients conflict, and Bowman et al. 2016 for the weight of a KL term.
    """

    code = "R202"
    name = "drop-term"
    treats = {
        "P201": 0.6,
        "P204": 0.5,
        "P205": 0.1,
        "P206": 0.4,
        "P309": 0.9,
        "P401": 0.4,
        "P402": 0.6,
    }
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The dominating terms that the symptoms name; without symptoms, every term.

        For noise, the terms that train what comes before it and nothing that comes after.
        """
        found = list(symptoms)
        if any(symptom.code in _NOISE for symptom in found):
            return trace.places("noise.rate")
        return [symptom.where for symptom in found] or _terms.by_share(trace)

    def apply(self, program: Program, action: Action) -> None:
        """Scale the gradient of the term by zero."""
        _terms.scale(program, action, 0.0)

    def advice(self, action: Action) -> str:
        """Which term to take out."""
        return f"Take {action.target} out of the loss (or set its weight to 0)."

    def rewrite(self, source: Source, action: Action) -> None:
        """Take the term out of the sum."""
        for name in action.targets:
            source.drop_term(name)
