"""R205: the targets of a regression are clipped to a part of their range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes._loss_functions import REGRESSIONS
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.base import Remedy
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.surgery import Program


class ClipTargets(Remedy):
    """The targets of a regression are clipped to a part of their range.

    What it does:
        Clips the targets of a regression loss to a share of the largest distance from their median,
        both taken from the first batch that is clipped, from the second step on.

    When it helps:
        A few wild targets make the gradient of a regression. A head that starves beside others is
        not fed by it: its targets become smaller and wrong. It is there to be refuted.

    Parameters:
        ``share``: of the largest distance from the median, from 0.05 to 0.9.

    In the script:
        ``target.clamp(low, high)`` in the call of the loss.

    Source:
        The investigation of a reduction bias: clipping "helps, but doesn't solve it".
    """

    code = "R205"
    name = "clip-targets"
    treats = {"P202": 0.05}
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"share": Range(0.05, 0.9, default=0.25)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The regressions among the terms, those that the symptoms name alone if there are any."""
        return _terms.made_by(REGRESSIONS, symptoms, trace)

    def apply(self, program: Program, action: Action) -> None:
        """Clip the targets wherever the term is computed.

        Raises:
            ValueError: The action names no single loss term, or the share is out of range.
        """
        from remedies.surgery.term_calls import change_term_calls

        share = float(action.params["share"])
        if len(action.targets) != 1 or not 0 < share < 1:
            raise ValueError(f"{action}: needs one loss term and a share between 0 and 1")
        bounds: list[float] = []

        def change(arguments: dict[str, Any]) -> dict[str, Any]:
            target = arguments["target"]
            if not bounds:
                middle = float(target.detach().median())
                reach = share * float((target.detach() - middle).abs().max())
                bounds.extend((middle - reach, middle + reach))
            return {"target": target.clamp(*bounds)}

        detail = f"targets clipped to {share:.0%} of their reach"
        change_term_calls(program, action, REGRESSIONS, detail, change)

    def advice(self, action: Action) -> str:
        """What to clip, and how far."""
        share = float(action.params["share"])
        return f"Clip the targets of {action.target} to {share:.0%} of their range."
