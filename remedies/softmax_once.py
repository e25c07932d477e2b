"""R607: one softmax for the weights of attention, not two."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes.attention_entropy_collapse import takes_weights
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _attention_calls
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor

    from remedies.source.source import Source
    from remedies.surgery import Program


class SoftmaxOnce(Remedy):
    """One softmax for the weights of attention, not two.

    What it does:
        At a line where a softmax is given what is a softmax's result already, none below zero and
        with a sum of one, it gives that back as it is.

    When it helps:
        The second softmax sees scores between 0 and 1: all keys get nearly the same weight.

    Parameters:
        None.

    In the script:
        ``weights = scores.softmax(-1)`` once, between the scores and the values.

    Source:
        Vaswani et al. 2017, Attention Is All You Need, equation 1.
    """

    code = "R607"
    name = "softmax-once"
    treats = {"P704": 0.95}
    acts_on = "calls of softmax"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All such calls at once."""
        return _attention_calls.softmaxes(trace, takes_weights)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls at the lines."""
        from probes.tap.attention_scores import are_weights

        def leave_out(
            func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            given: Tensor = args[0] if args else kwargs["input"]
            axis = args[1] if len(args) > 1 else kwargs.get("dim")
            if axis is None or not bool(are_weights(given.detach(), axis).all()):
                return NotImplemented
            return given

        _attention_calls.answer(program, action, "the second softmax is left out", leave_out)

    def advice(self, action: Action) -> str:
        """Which one to leave out."""
        lines = _attention_calls.lines(action)
        return f"Leave out the softmax at {lines}: it is given weights already."

    def rewrite(self, source: Source, action: Action) -> None:
        """Leave out the calls."""
        from remedies.source.functions import drop

        for file, line in _attention_calls.places(source, action):
            drop(file, line, "softmax")
