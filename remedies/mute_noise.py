"""R402: the mean of a sampled representation in the place of a sample."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class MuteNoise(Remedy):
    """The mean of a sampled representation in the place of a sample.

    What it does:
        Takes out the noise that is added at one place, so that the same input has the same
        representation at every pass. The noise is drawn all the same, which leaves all other
        random numbers of the run what they were. Dropout and noise elsewhere stay.

    When it helps:
        The task has one right answer for each input, and the noise of a variational encoder (or of
        a regulariser) keeps the decoder from ever seeing a stable code.

    Parameters:
        None.

    In the script:
        ``return mean`` in the place of ``return mean + eps * std``.

    Source:
        The investigation of a variational encoder on a deterministic task; Ghosh et al. 2020, From
        Variational to Deterministic Autoencoders.
    """

    code = "R402"
    name = "mute-noise"
    treats = {"P401": 0.8, "P402": 0.5}
    acts_on = "a place where noise is added"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The places that the symptoms name; without symptoms, every one that was seen."""
        return list(dict.fromkeys(s.where for s in symptoms)) or list(trace.noises)

    def apply(self, program: Program, action: Action) -> None:
        """Mute every target."""
        if not action.targets:
            raise ValueError(f"{self.name}: needs a place where noise is added")
        for place in action.targets:
            program.mute_noise(action, place)

    def advice(self, action: Action) -> str:
        """What to return instead."""
        return f"Use the mean in the place of a sample where {action.target} adds noise to it."

    def rewrite(self, source: Source, action: Action) -> None:
        """Leave nothing but the deterministic operand of the addition."""
        for place in action.targets:
            source.keep_mean(place)
