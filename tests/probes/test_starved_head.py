from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.starved_head import StarvedHead

ERROR = Objective(name="val_countdown_mae", mode="min")
STUCK = [16.3 - 0.02 * place for place in range(12)]


def falling(start: float, end: float) -> list[float]:
    """A curve with the jumps of a batch in it."""
    return [start + (end - start) * place / 40 + 0.03 * start * (place % 2) for place in range(41)]


def three_heads(share: float = 0.002, steady: float = 0.95, countdown: list[float] | None = None):
    curves = {
        "pointers": (0.8, falling(0.028, 0.012), 0.1, 32.0),
        "inside": (0.2 - share, falling(0.7, 0.04), 0.3, 1680.0),
        "countdown": (share, countdown or falling(15.8, 15.4), steady, 1680.0),
    }
    made = {}
    for where, (own, curve, steadiness, elements) in curves.items():
        made["train", where, "term.value"] = curve
        made["train", where, "term.share"] = [own] * 41
        made["train", where, "term.grad"] = [own / 2] * 41
        made["train", where, "term.weight"] = [0.1] * 41
        made["train", where, "term.elements"] = [elements] * 41
        made["train", where, "term.steadiness"] = [steadiness] * 41
    return made


def read(make_trace, signals, curve=STUCK):
    terms = ("pointers", "inside", "countdown")
    trace = make_trace(signals, {"val_countdown_mae": curve}, terms=terms)
    return list(StarvedHead().read(trace, ERROR))


def test_a_head_that_stays_where_it_began_is_named_with_its_figures(make_trace) -> None:
    (symptom,) = read(make_trace, three_heads())
    assert symptom.severity > 0.9
    assert (symptom.where, symptom.source) == ("countdown", "train.py:3")
    evidence = symptom.evidence
    assert evidence["gradient_ratio"] == pytest.approx(0.002 / 0.8)
    assert evidence["element_ratio"] == pytest.approx(32 / 1680)
    assert evidence["equal_share"] == pytest.approx(1 / 3)
    assert evidence["starved_start"] == pytest.approx(15.8, rel=0.05)
    assert "pointers" in symptom.message and "1680 elements" in symptom.message
    assert "val_countdown_mae went from 16.3" in symptom.message


def test_a_metric_that_moves_is_an_observation(make_trace) -> None:
    (symptom,) = read(make_trace, three_heads(), falling(16.3, 3.0))
    assert not symptom.alarming
    (symptom,) = StarvedHead().read(make_trace(three_heads()), None)
    assert not symptom.alarming


def test_a_metric_that_creeps_along_with_the_term_is_an_alarm(make_trace) -> None:
    term = falling(16.0, 14.6)
    (symptom,) = read(make_trace, three_heads(countdown=term), [value - 3 for value in term])
    assert symptom.alarming


@pytest.mark.parametrize(
    "signals",
    [
        three_heads(share=0.1),
        three_heads(steady=0.05),
        three_heads(countdown=falling(15.8, 12.0)),
        three_heads(countdown=[15.8 - 0.01 * place for place in range(41)]),
        {key: [0.7] * 41 if "term.value" in key else curve for key, curve in three_heads().items()},
    ],
    ids=["enough gradient", "noise floor", "it learns", "penalty on weights", "nothing falls"],
)
def test_what_does_not_starve(make_trace, signals) -> None:
    assert not read(make_trace, signals)
