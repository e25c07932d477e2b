"""R305: gradients clipped to a norm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program

_USUAL = 1.0


class ClipGradients(Remedy):
    """Gradients clipped to a norm.

    What it does:
        Before each step of an optimizer, scales the gradients of all its parameters down together
        where their norm is above a limit. The direction stays.

    When it helps:
        Single steep places throw the weights far off: recurrent networks, long sequences, rare
        outliers in a batch. It does not help where every step is too long.

    Parameters:
        ``max_norm``: the limit; tried first is the norm that the first gradient of the observed run
        had, and a tenth to ten times of it are searched on a log scale.

    In the script:
        ``torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)`` between ``backward()`` and
        ``step()``.

    Source:
        Pascanu et al. 2013, On the difficulty of training recurrent neural networks.
    """

    code = "R305"
    name = "clip-gradients"
    treats = {"P301": 0.2, "P303": 0.15, "P603": 0.3}
    acts_on = "program"
    reach = "optimizer"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"max_norm": Range(1e-4, 1e4, default=_USUAL, log=True)}

    def space_for(self, trace: Trace) -> Space:
        """Around the norm that the first gradient had."""
        norm = min(1e3, max(1e-3, _first_norm(trace)))
        return {"max_norm": Range(norm / 10, norm * 10, default=norm, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Scale the gradients before each step."""
        limit = float(action.params["max_norm"])
        if limit <= 0:
            raise ValueError(f"{action}: the norm must be positive")

        def before(optimizer: Optimizer) -> None:
            from remedies.surgery.gradients import clip

            norm = clip(optimizer, limit)
            if norm > limit:
                program.report(action, "", f"norm {norm:.3g} clipped to {limit:.3g}")

        program.around_steps(before)

    def advice(self, action: Action) -> str:
        """Which call to add."""
        norm = float(action.params["max_norm"])
        return (
            f"Call torch.nn.utils.clip_grad_norm_(model.parameters(), {norm:.3g}) between "
            f"backward() and step()."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Write ``clip_grad_norm_`` before each step."""
        source.clip_gradients(float(action.params["max_norm"]))


def _first_norm(trace: Trace) -> float:
    """Norm of all gradients together at the first probed step; 1 where that is not known."""
    firsts = [
        series.values[0]
        for where in trace.places("grad.norm")
        if (series := trace.signal("train", where, "grad.norm").finite).values
    ]
    norm = math.sqrt(sum(value**2 for value in firsts))
    return norm if norm > 0 and math.isfinite(norm) else _USUAL
