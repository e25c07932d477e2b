"""R605: other scores for the softmax of attention."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes.attention_entropy_collapse import takes_weights
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _attention_calls
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Range, Space, Value
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program

_LOW, _HIGH = 1e-4, 1.0


class ScaleAttention(Remedy):
    """Other scores for the softmax of attention.

    What it does:
        Multiplies the scores of attention by a factor below one before their softmax, in training
        and in evaluation: by the scale of torch's function, by the weights of the queries of
        torch's module, or what is given to a softmax written by hand.

    When it helps:
        The scores are so large that the weights are one-hot and queries and keys learn nothing.

    Parameters:
        ``factor``: the scores that the observed run began with get a standard deviation of one
        first; a thousand times around that is searched on a log scale.

    In the script:
        ``q @ k.transpose(-2, -1)`` becomes ``q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])``;
        or ``q = F.rms_norm(q, q.shape[-1:])`` and the same for ``k`` where they grow in training.

    Source:
        Vaswani et al. 2017, Attention Is All You Need; Henry et al. 2020, Query-Key Normalization
        for Transformers.
    """

    code = "R605"
    name = "scale-attention"
    treats = {"P704": 0.85}
    acts_on = "calls that compute attention"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(_LOW, _HIGH, default=0.125, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All places at once whose scores are as large as those that the symptoms name."""
        seen = [symptom for symptom in symptoms if symptom.where in trace.attentions]
        places = [where for where in trace.attentions if not takes_weights(trace, where)]
        named = [symptom for symptom in seen if symptom.where in places]
        if seen and not named:
            return
        if named:
            scales = {w: _first_scale(trace, w) for w in places}
            least = min(scales[symptom.where] for symptom in named) / 4
            places = [where for where in places if scales[where] >= least]
        if places:
            yield ",".join(_attention_calls.by_call(trace, places))

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """A standard deviation of one for the scores that the run began with."""
        scales = [s.evidence.get("first_scale", s.evidence.get("scale", 8.0)) for s in symptoms]
        factor = min(_HIGH, max(_LOW, 1 / max(scales, default=8.0)))
        params: dict[str, Value] = {"factor": factor}
        return Action(remedy=self.code, name=self.name, target=target, params=params)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls at the lines."""
        from remedies.surgery.attention import scaled_call

        factor = float(action.params["factor"])
        if factor <= 0:
            raise ValueError(f"{action}: the factor must be positive")

        def scaled(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return scaled_call(func, args, kwargs, factor)

        _attention_calls.answer(program, action, f"scores times {factor:.4g}", scaled)

    def advice(self, action: Action) -> str:
        """What to divide."""
        factor = float(action.params["factor"])
        return (
            f"Multiply the scores of the attention at {_attention_calls.lines(action)} by "
            f"{factor:.3g}; "
            "usual is one over the square root of the width of a head, once."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply the scores that are given to a softmax."""
        from remedies.source.functions import scale

        for target in action.targets:
            operation, _, line = target.partition("@")
            if operation != "softmax":
                raise Unwritable(f"{operation} computes its scores by itself")
            scale(*source.place(line), operation, float(action.params["factor"]))


def _first_scale(trace: Trace, where: str) -> float:
    values = trace.signal("train", where, "attention.scale").finite.values
    return values[0] if values else 0.0
