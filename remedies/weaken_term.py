"""R207: less weight for a loss term that is too strong."""

from __future__ import annotations

from collections.abc import Iterable

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.space import Range, Space


class WeakenTerm(_terms.FactorOnTerm):
    """Less weight for a loss term that is too strong.

    What it does:
        Multiplies the gradient of one loss term by a factor below one, in every backward pass.

    When it helps:
        The KL term of a variational encoder draws the code to its prior so strongly that nothing
        gets through: a mean over all positions beside a sum over all dimensions of the code, or a
        weight that is too large. A term that is needed is not left out, but weighed.

    Parameters:
        ``factor``: from 0.0001 to 0.5, searched on a log scale.

    In the script:
        Multiply the term's weight by the factor where the loss is put together.

    Source:
        Higgins et al. 2017, beta-VAE, for what the weight does; Bowman et al. 2016, Generating
        Sentences from a Continuous Space.
    """

    code = "R207"
    name = "weaken-term"
    treats = {"P402": 0.7}

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(1e-4, 0.5, default=0.01, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The terms that train what comes before the noise and nothing that comes after."""
        return _terms.before_noise(trace)
