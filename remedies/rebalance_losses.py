"""R201: less weight for the loss term that drowns the others."""

from __future__ import annotations

from collections.abc import Iterable

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.space import Range, Space
from remedies.treatment import Action

_SMALLEST, _LARGEST = 1e-6, 0.5


class RebalanceLosses(_terms.FactorOnTerm):
    """Less weight for the loss term that drowns the others.

    What it does:
        Multiplies the gradient of one loss term by a factor below one, in every backward pass. The
        value of the loss that the script computes and prints stays what it was.

    When it helps:
        Terms of different scale were added with equal weights, so that the shared parameters
        follow one of them and the others, among them the one that the metric is about, starve.

    Parameters:
        ``factor``: from 0.000001 to 0.5, searched on a log scale. First comes the one that makes
        the gradients of the dominating term and of the one it drowns equal.

    In the script:
        Multiply the term's weight by the factor where the loss is put together.

    Source:
        Chen et al. 2018, GradNorm, for balancing by the gradients on shared parameters.
    """

    code = "R201"
    name = "rebalance-losses"
    treats = {"P201": 0.8}

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(_SMALLEST, _LARGEST, default=0.01, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The dominating terms that the symptoms name; without symptoms, every term."""
        return [symptom.where for symptom in symptoms] or _terms.by_share(trace)

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """The factor that makes the gradients of the two terms of a symptom equal."""
        action = super().default(target)
        for symptom in symptoms:
            drowned = symptom.evidence.get("starved_share", 0.0)
            if symptom.where == target and drowned > 0:
                factor = drowned / symptom.evidence["dominant_share"]
                equal = min(_LARGEST, max(_SMALLEST, factor))
                return action.model_copy(update={"params": {"factor": equal}})
        return action
