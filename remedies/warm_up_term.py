"""R206: a loss term whose weight grows from nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program


class WarmUpTerm(Remedy):
    """A loss term whose weight grows from nothing.

    What it does:
        Multiplies the gradient of one loss term by a factor that grows in proportion to the
        optimizer steps, from 0 to 1, and stays there.

    When it helps:
        A KL term that is there from the first step on empties the code of a variational encoder
        before the decoder has learned to use it. Once it is used, the same weight does no harm.

    Parameters:
        ``steps``: optimizer steps until the weight is whole; half of the observed run is tried
        first, a twentieth to all of it are searched on a log scale.

    In the script:
        ``loss = reconstruction + min(1.0, step / steps) * kl``.

    Source:
        Bowman et al. 2016, Generating Sentences from a Continuous Space (KL annealing); Sonderby
        et al. 2016, Ladder Variational Autoencoders.
    """

    code = "R206"
    name = "warm-up-term"
    treats = {"P402": 0.2}
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"steps": Range(1.0, 1e6, default=100.0, log=True)}

    def space_for(self, trace: Trace) -> Space:
        """In proportion to the observed run."""
        steps = float(max(20, trace.steps))
        return {"steps": Range(steps / 20, steps, default=steps / 2, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The terms that train what comes before the noise and nothing that comes after."""
        return _terms.before_noise(trace)

    def apply(self, program: Program, action: Action) -> None:
        """Scale the gradient of the term by a factor that grows."""
        length = float(action.params["steps"])
        if not action.targets or length < 1:
            raise ValueError(f"{action}: needs a loss term and at least one step")
        for name in action.targets:
            program.scale_term(action, name, lambda: min(1.0, program.step / length))

    def advice(self, action: Action) -> str:
        """What to multiply the term by."""
        steps = round(float(action.params["steps"]))
        return (
            f"Let the weight of {action.target} grow: multiply it by min(1.0, step / {steps}), "
            "with the number of optimizer steps done."
        )

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook on the term, and a count of how often it was computed."""
        from remedies.source.term_hooks import grown

        if len(action.targets) != 1:
            raise Unwritable("there are several terms")
        return grown(source, action.target, float(action.params["steps"]))
