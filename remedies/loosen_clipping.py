"""R309: a higher threshold for gradient clipping."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program

_MARGIN = 2.0
_LIMITS = {
    "clip_grad_norm_": "max_norm",
    "clip_grad_norm": "max_norm",
    "clip_grad_value_": "clip_value",
}
"""The functions of ``torch.nn.utils`` that clip, and the name of the second argument of each."""


class LoosenClipping(Remedy):
    """A higher threshold for gradient clipping.

    What it does:
        Multiplies the limit that the script gives to ``clip_grad_norm_`` and ``clip_grad_value_``.

    When it helps:
        The limit is so far below the usual gradients that it sets the pace of the training.

    Parameters:
        ``factor``: from 1 to a billion. Tried first is what makes the limit twice the usual norm
        of the observed run; a tenth to ten times of that is searched on a log scale.

    In the script:
        Multiply ``max_norm`` (or ``clip_value``) by the factor.

    Source:
        Pascanu et al. 2013, On the difficulty of training recurrent neural networks: thresholds of
        half to ten times the average norm.
    """

    code = "R309"
    name = "loosen-clipping"
    treats = {"P306": 0.9}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(1.0, 1e9, default=1000.0, log=True)}

    def space_near(self, action: Action, trace: Trace) -> Space:
        """A tenth to ten times the factor."""
        factor = float(action.params["factor"])
        low, high = max(1.0, factor / 10), min(1e9, factor * 10)
        return {"factor": Range(low, high, default=factor, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """What makes the limit twice the norm that was usual."""
        action = super().default(target)
        kept = [s.evidence["kept"] for s in symptoms if s.evidence.get("kept", 0.0) > 0]
        if not kept:
            return action
        factor = min(1e9, max(1.0, float(f"{_MARGIN / min(kept):.0e}")))
        return action.model_copy(update={"params": {"factor": factor}})

    def apply(self, program: Program, action: Action) -> None:
        """Have the clipping functions of torch called with another limit."""
        from torch import nn

        factor = float(action.params["factor"])
        if factor <= 0:
            raise ValueError(f"{action}: the factor must be positive")

        def loosened(original: Callable[..., Any], keyword: str) -> Callable[..., Any]:
            def clip(parameters: Any, *args: Any, **kwargs: Any) -> Any:
                if args:
                    args = (args[0] * factor, *args[1:])
                else:
                    kwargs[keyword] = kwargs[keyword] * factor
                program.report(action, "", f"limit times {factor:.3g}")
                return original(parameters, *args, **kwargs)

            return clip

        for owner in (nn.utils, nn.utils.clip_grad):
            for name, keyword in _LIMITS.items():
                if hasattr(owner, name):
                    program.replace(owner, name, loosened(getattr(owner, name), keyword))

    def advice(self, action: Action) -> str:
        """By what to multiply the limit."""
        factor = float(action.params["factor"])
        return f"Multiply the limit that gradients are clipped to by {factor:.3g}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply the limit in every call that clips."""
        factor = float(action.params["factor"])
        names = [f"torch.nn.utils.{name}" for name in _LIMITS]
        for call in source.calls(names, source.trace.places("clip.limit")):
            limit = _LIMITS[call.name.rpartition(".")[2]]
            call.scale(limit, factor, "parameters", limit)
