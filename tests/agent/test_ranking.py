"""Which remedies are heard for which symptoms."""

from __future__ import annotations

import pytest

from agent.ranking import rank
from probes import Symptom, Trace
from remedies import remedies

RUN = Trace.of(
    [
        {"event": "module", "where": "net", "type": "Net", "parent": None},
        {"event": "module", "where": "net.1", "type": "LSTM", "parent": "net"},
    ]
)


def symptom(code: str, severity: float = 1.0) -> Symptom:
    return Symptom(code=code, name="x", severity=severity, where="net", message="")


def heard(codes: list[str], *offered: str, severity: float = 1.0) -> list[str]:
    found = [symptom(code, severity) for code in codes]
    asked = [remedies[key] for key in offered]
    return [h.remedy.name for h in rank(remedies, found, RUN, asked)]


def test_the_likeliest_comes_first() -> None:
    weights = [h.weight for h in rank(remedies, [symptom("P301")], RUN)]
    assert weights == sorted(weights, reverse=True)
    assert heard(["P301"])[0] == "scale-learning-rate"


def test_an_observation_calls_for_no_remedy() -> None:
    assert heard(["P301"], severity=0.3) == []


def test_what_is_asked_for_is_heard_whatever_was_found() -> None:
    (asked,) = rank(remedies, [], RUN, [remedies["scale-learning-rate"]])
    assert asked.offered


def test_what_is_unlikely_is_heard_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(remedies["scale-learning-rate"]), "treats", {"P301": 0.05})
    assert "scale-learning-rate" not in heard(["P301"])
    assert "scale-learning-rate" in heard(["P301"], "scale-learning-rate")


def test_options_that_are_not_usual_are_searched_only_when_asked_for() -> None:
    remedy = remedies["rebalance-losses"]
    trace = Trace.of([{"event": "term", "where": "net"}])
    found = [symptom("P202")]
    (unasked,) = [h for h in rank(remedies, found, trace) if h.remedy is remedy]
    (asked,) = [h for h in rank(remedies, found, trace, [remedy]) if h.remedy is remedy]
    usual, everything = (h.space["strategy"].options for h in (unasked, asked))
    assert usual == everything[:2] and len(everything) > 5
    assert everything == remedy.space["strategy"].options
    assert unasked.action == asked.action
