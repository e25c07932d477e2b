from __future__ import annotations

import pytest

from probes.loss_term_dominance import LossTermDominance
from probes.objective import Objective

COSINE = Objective(name="val_cosine", mode="max")


def falling(start: float, end: float) -> list[float]:
    return [start + (end - start) * place / 20 for place in range(21)]


def two_terms(share: float, contrast: list[float], error: list[float]) -> dict:
    total = [0.5 * a + 0.5 * b for a, b in zip(contrast, error, strict=True)]
    made = {("train", "loss", "loss.value"): total}
    for where, curve, own in (("contrast", contrast, share), ("error", error, 1 - share)):
        made["train", where, "term.value"] = curve
        made["train", where, "term.share"] = [own] * 21
        made["train", where, "term.weight"] = [0.5] * 21
    return made


def read(make_trace, signals, metric):
    trace = make_trace(signals, {"val_cosine": metric}, terms=("contrast", "error"))
    return list(LossTermDominance().read(trace, COSINE))


def test_a_falling_loss_that_does_not_move_the_metric_names_both_terms(make_trace) -> None:
    signals = two_terms(0.998, falling(1.4, 0.96), falling(0.0021, 0.0020))
    (symptom,) = read(make_trace, signals, falling(0.25, 0.27))
    assert symptom.severity > 0.9
    assert symptom.where == "contrast"
    assert symptom.source == "train.py:1"
    assert "error" in symptom.message and "val_cosine" in symptom.message
    assert symptom.evidence["starved_share"] == pytest.approx(0.002)
    assert symptom.evidence["dominant_weight"] == 0.5
    assert symptom.evidence["metric_end"] == pytest.approx(0.268, abs=0.01)


def test_a_metric_that_follows_the_drowned_term_is_an_alarm(make_trace) -> None:
    noise = [1700.0 + (7 * place) % 5 for place in range(21)]
    signals = two_terms(0.98, noise, falling(2.4, 1.8))
    (symptom,) = read(make_trace, signals, falling(0.23, 0.42))
    assert symptom.alarming
    grows = two_terms(0.98, noise, falling(1.8, 2.4))  # A penalty, say.
    (symptom,) = read(make_trace, grows, falling(0.23, 0.42))
    assert not symptom.alarming


@pytest.mark.parametrize(
    "metric, dominant, other",
    [
        (falling(0.3, 0.8), falling(1.4, 0.4), falling(0.02, 0.02)),
        (falling(0.99, 0.991), falling(0.05, 0.01), falling(0.02, 0.02)),
        (falling(0.30, 0.31), falling(1.4, 1.39), falling(0.02, 0.02)),
        (falling(0.30, 0.31), falling(1.4, 0.8), falling(0.02, 0.004)),
    ],
    ids=["metric improves", "nothing left to gain", "loss flat, too", "no term starves"],
)
def test_a_dominating_term_alone_is_no_alarm(make_trace, metric, dominant, other) -> None:
    found = read(make_trace, two_terms(0.99, dominant, other), metric)
    assert [symptom.alarming for symptom in found] == [False]


def test_balanced_terms_are_nothing(make_trace) -> None:
    signals = two_terms(0.6, falling(1.4, 0.9), falling(0.0021, 0.0020))
    assert not read(make_trace, signals, falling(0.25, 0.27))
