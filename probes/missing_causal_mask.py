"""P910: a model that is to predict the next token sees it."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _tokens
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_SEEN = 0.5


class MissingCausalMask(Probe):
    """A model that is to predict the next token sees it.

    What it detects:
        A language model whose labels are the tokens behind those that it is given, and whose
        attention is not kept from them: no mask, one of the wrong triangle, or off by one.

    Why it harms:
        To look the next token up is easier than to predict it: the loss falls to next to nothing,
        in validation as well, and the model cannot write a line, where nothing is there to look up.

    Rule:
        In four of five probed steps, three at least, 99 % of the labels of a loss are the token
        behind the one that an embedding was asked for (and not that one as well), and in every
        attention among as many places as a sequence has, half of the queries in its second half may
        look at the place behind theirs. Where one attention of that length is masked, or other
        sequences are looked up as well, it may be one of an encoder or to a source, and nothing is
        reported. The metric says nothing about it, unless the model writes by itself: severity 0.9.

    Example:
        bad: ``F.scaled_dot_product_attention(q, k, v)``
        good: ``F.scaled_dot_product_attention(q, k, v, is_causal=True)``

    Source:
        Vaswani et al. 2017, Attention Is All You Need, section 3.2.3, on masking in the decoder.
    """

    code = "P910"
    name = "missing-causal-mask"
    signals = (
        "attention.ahead", "attention.length", "tokens.shifted", "tokens.length", "tokens.others",
    )  # fmt: skip

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        seen = looking_ahead(trace)
        if not seen:
            return
        where = seen[0]
        info = trace.attentions[where]
        ahead = _tokens.middle(trace, where, "attention.ahead")
        others = f" and {len(seen) - 1} more" if len(seen) > 1 else ""
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=0.9,
            where=where,
            source=info.source,
            step=trace.signal("train", where, "attention.ahead").steps[0],
            evidence={"ahead": ahead, "places": _tokens.middle(trace, where, "attention.length")},
            message=(
                f"the model is to predict the next token, and attention at {where}{others} "
                f"({info.call}) may look at it: mask what comes later"
            ),
        )


def looking_ahead(trace: Trace) -> list[str]:
    """The attentions that see what they are to predict, the first of the model first."""
    lengths = {
        _tokens.middle(trace, line, "tokens.length")
        for line in trace.places("tokens.shifted")
        if _predicts_next(trace, line)
    }
    among = [
        where
        for where in trace.places("attention.ahead")
        if where in trace.attentions and _tokens.middle(trace, where, "attention.length") in lengths
    ]
    seen = [where for where in among if _tokens.middle(trace, where, "attention.ahead") >= _SEEN]
    return seen if len(seen) == len(among) else []


def _predicts_next(trace: Trace, line: str) -> bool:
    alone = not _tokens.middle(trace, line, "tokens.others")
    return alone and _tokens.are_labels(trace, line, "shifted", "copied")
