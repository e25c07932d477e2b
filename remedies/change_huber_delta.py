"""R204: another threshold of a Huber loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program

_THRESHOLDS = {"huber_loss": "delta", "smooth_l1_loss": "beta"}


class ChangeHuberDelta(Remedy):
    """Another threshold of a Huber loss.

    What it does:
        Multiplies the threshold of a loss term made by ``huber_loss`` or ``smooth_l1_loss``
        (``delta``, ``beta``) by a factor, from the second step on.

    When it helps:
        Outliers pull too hard (a smaller one), or errors all lie on the linear branch and the loss
        cannot tell large ones from small ones (a larger one). For a term that starves it is often
        tried: a smaller threshold makes the loss and its gradient smaller alike, so that nothing
        is gained where the loss is divided by its mean. It is there to be refuted.

    Parameters:
        ``factor``: from 0.01 to 100, searched on a log scale.

    In the script:
        ``delta=`` of ``F.huber_loss`` or ``nn.HuberLoss``, ``beta=`` of the smooth L1 loss.

    Source:
        Huber 1964, Robust Estimation of a Location Parameter; the investigation of a reduction
        bias, which expects nothing of it.
    """

    code = "R204"
    name = "change-huber-delta"
    treats = {"P202": 0.05}
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(0.01, 100.0, default=0.08, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The Huber losses among the terms, those that the symptoms name alone if there are any."""
        return _terms.made_by(tuple(_THRESHOLDS), symptoms, trace)

    def apply(self, program: Program, action: Action) -> None:
        """Multiply the threshold wherever the term is computed.

        Raises:
            ValueError: The action names no loss term, or the factor is not positive.
        """
        from remedies.surgery.term_calls import change_term_calls

        factor = float(action.params["factor"])
        if not action.targets or factor <= 0:
            raise ValueError(f"{action}: needs a loss term and a factor above 0")

        def change(arguments: dict[str, Any]) -> dict[str, Any]:
            key = next(key for key in _THRESHOLDS.values() if key in arguments)
            return {key: arguments[key] * factor}

        detail = f"threshold times {factor:.4g}"
        change_term_calls(program, action, tuple(_THRESHOLDS), detail, change)

    def advice(self, action: Action) -> str:
        """By what to multiply which threshold."""
        factor = float(action.params["factor"])
        return f"Multiply the delta (beta) of the Huber loss {action.target} by {factor:.3g}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply the threshold where the loss is called, or made."""
        from remedies.source.losses import loss_at, scale_threshold

        for target in action.targets:
            info = source.trace.terms.get(target)
            if info is None:
                raise Unwritable(f"{target} was not seen")
            scale_threshold(loss_at(*source.place(info.source)), float(action.params["factor"]))
