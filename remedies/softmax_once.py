"""R607: one softmax for the weights of attention, not two."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes.attention_entropy_collapse import takes_weights
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
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
        found = [
            info.call for where, info in trace.attentions.items() if takes_weights(trace, where)
        ]
        calls = [call for call in dict.fromkeys(found) if call.startswith("softmax@")]
        if calls:
            yield ",".join(calls)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls at the lines."""
        from probes.tap.attention_scores import are_weights

        wanted = {target.partition("@")[2]: target for target in action.targets}

        def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if getattr(func, "__name__", "") != "softmax":
                return NotImplemented
            target = wanted.get(program.line() or "")
            given: Tensor = args[0] if args else kwargs["input"]
            axis = args[1] if len(args) > 1 else kwargs.get("dim")
            if target is None or axis is None:
                return NotImplemented
            if not bool(are_weights(given.detach(), axis).all()):
                return NotImplemented
            program.report(action, target, "the second softmax is left out")
            return given

        program.rewrite_calls(rewrite)

    def advice(self, action: Action) -> str:
        """Which one to leave out."""
        lines = ", ".join(target.partition("@")[2] for target in action.targets)
        return f"Leave out the softmax at {lines or 'that line'}: it is given weights already."

    def rewrite(self, source: Source, action: Action) -> None:
        """Leave out the calls."""
        from remedies.source.functions import drop

        if not action.targets:
            raise Unwritable("no line is named")
        for target in action.targets:
            operation, _, line = target.partition("@")
            drop(*source.place(line), operation)
