from __future__ import annotations

import pytest

from probes.shuffled_labels import ShuffledLabels

PLACE = "train.py:1|train.py:7|train.py:8"


def read(
    make_trace, changed=0.7, expected=0.67, recurring=1.0, unknown=1.0, seen=20.0, others=None
):
    signals = {
        ("train", PLACE, "pairs.changed"): [changed] * 10,
        ("train", PLACE, "pairs.revisited"): [seen] * 10,
        ("train", PLACE, "pairs.expected"): [expected] * 10,
        ("train", PLACE, "pairs.recurring"): [recurring] * 10,
        ("train", "train.py:1", "target.unexplained"): [unknown] * 10,
    } | (others or {})
    return list(ShuffledLabels().read(make_trace(signals, terms=("loss",))))


def test_labels_that_change_as_if_dealt_at_random(make_trace) -> None:
    (symptom,) = read(make_trace)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("loss", "train.py:8")
    assert "70% have another label" in symptom.message


def test_where_something_is_learned_it_is_no_alarm(make_trace) -> None:
    (symptom,) = read(make_trace, unknown=0.6)
    assert not symptom.alarming


def test_logits_that_know_the_labels_at_another_scale_are_no_alarm(make_trace) -> None:
    known = {
        ("train", "train.py:1", "logits.best_loss"): [1.0] * 10,
        ("train", "train.py:1", "label.entropy"): [4.0] * 10,
    }
    (symptom,) = read(make_trace, others=known)
    assert not symptom.alarming


@pytest.mark.parametrize(
    "case", [{"changed": 0.1}, {"recurring": 0.1}, {"seen": 2.0}, {"expected": 0.0, "changed": 0.0}]
)
def test_nothing_is_found(make_trace, case) -> None:
    assert not read(make_trace, **case)
