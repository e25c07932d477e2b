"""R910: attention that does not look at what comes later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.missing_causal_mask import looking_ahead
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _attention_calls
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class MaskFuture(Remedy):
    """Attention that does not look at what comes later.

    What it does:
        Keeps every place of a sequence from those behind it, in training and in evaluation, besides
        what is masked already: in torch's functions, or before a softmax written by hand. Attention
        to another sequence, or of a single new token, stays as it is.

    When it helps:
        A model is to predict the next token, which it sees.

    Parameters:
        None.

    In the script:
        ``F.scaled_dot_product_attention(q, k, v, is_causal=True)``;
        ``mask=nn.Transformer.generate_square_subsequent_mask(length)`` for torch's encoder.

    Source:
        Vaswani et al. 2017, Attention Is All You Need, section 3.2.3.
    """

    code = "R910"
    name = "mask-future"
    treats = {"P910": 0.9}
    acts_on = "calls that compute attention"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All such calls at once."""
        calls = _attention_calls.by_call(trace, looking_ahead(trace))
        if calls:
            yield ",".join(calls)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls at the lines."""
        from remedies.surgery.attention import masked_call

        _attention_calls.answer(program, action, "what comes later is masked", masked_call)

    def advice(self, action: Action) -> str:
        """What to mask."""
        return (
            f"Mask what comes later at {_attention_calls.lines(action)}: is_causal=True, or "
            'scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), float("-inf")).'
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Pass ``is_causal=True`` or a mask, or mask the scores before the softmax."""
        from remedies.source.masks import mask_later

        for target in action.targets:
            operation, _, line = target.partition("@")
            mask_later(*source.place(line), operation)
