"""R608: the softmax of attention along the keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.attention_entropy_collapse import takes_another_axis
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _attention_calls
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class SoftmaxOverKeys(Remedy):
    """The softmax of attention along the keys.

    What it does:
        Takes the softmax along the last axis, over which the product with the values sums.

    When it helps:
        It runs along the queries, or the heads, or the samples: what a query gathers is no mean of
        the values, and queries compete for each key.

    Parameters:
        None.

    In the script:
        ``scores.softmax(-1)`` for scores of shape (batch, queries, keys).

    Source:
        Bahdanau et al. 2015, Neural Machine Translation by Jointly Learning to Align and Translate;
        Vaswani et al. 2017, Attention Is All You Need, equation 1.
    """

    code = "R608"
    name = "softmax-over-keys"
    treats = {"P704": 0.95}
    acts_on = "calls of softmax"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All such calls at once."""
        return _attention_calls.softmaxes(trace, takes_another_axis)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls at the lines."""
        from remedies.surgery.attention import along_last_axis

        _attention_calls.answer(program, action, "along the last axis", along_last_axis)

    def advice(self, action: Action) -> str:
        """Which axis to take."""
        return f"Take the softmax at {_attention_calls.lines(action)} along the keys: dim=-1."

    def rewrite(self, source: Source, action: Action) -> None:
        """Write the last axis into the calls."""
        from remedies.source.functions import set_axis

        for file, line in _attention_calls.places(source, action):
            set_axis(file, line, "softmax", -1)
