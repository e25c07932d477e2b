from __future__ import annotations

import pytest

from probes.missing_causal_mask import MissingCausalMask
from probes.trace import Trace


def read(*attentions: tuple[str, float, float], copied=0.1, shifted=1.0, others=0.0):
    """Attentions are given by their place, length, and share of queries that look ahead."""
    events = [
        {"event": "attention", "where": where, "source": "train.py:7", "operation": "softmax",
         "call": "softmax@train.py:7", "module": where}
        for where, _, _ in attentions
    ]  # fmt: skip
    for step in range(4):
        tokens = {"shifted": shifted, "copied": copied, "length": 12.0, "others": others}
        rows = [["train.py:9", f"tokens.{name}", value] for name, value in tokens.items()]
        for where, length, ahead in attentions:
            rows += [[where, "attention.length", length], [where, "attention.ahead", ahead]]
        events.append({"event": "signals", "step": step, "phase": "train", "rows": rows})
    return list(MissingCausalMask().read(Trace.of(events)))


def test_a_model_that_sees_the_next_token() -> None:
    (symptom,) = read(("a", 12, 1.0), ("b", 12, 1.0))
    assert symptom.alarming and (symptom.where, symptom.source) == ("a", "train.py:7")
    assert symptom.evidence == {"ahead": 1.0, "places": 12.0} and "and 1 more" in symptom.message


@pytest.mark.parametrize(
    "attentions",
    [
        [("a", 12, 0.0), ("b", 12, 0.0)],
        [("encoder", 12, 1.0), ("decoder", 12, 0.0)],
        [("encoder", 20, 1.0)],
    ],
    ids=["masked", "encoder of as many", "encoder of more"],
)
def test_what_may_look_at_everything(attentions) -> None:
    assert not read(*attentions)


@pytest.mark.parametrize("labels", [{"shifted": 0.2}, {"copied": 1.0}, {"others": 1.0}])
def test_other_labels_than_the_next_token_and_translations(labels) -> None:
    assert not read(("a", 12, 1.0), **labels)
