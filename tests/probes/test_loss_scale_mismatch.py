from __future__ import annotations

import pytest

from probes.loss_scale_mismatch import LossScaleMismatch


def read(make_trace, contrast, error, weight=0.5):
    signals = {}
    for where, gradients, value in (("contrast", contrast, 1.4), ("error", error, 0.002)):
        signals["train", where, "term.grad"] = gradients
        signals["train", where, "term.value"] = [value] * len(gradients)
        signals["train", where, "term.contribution"] = [-weight * value] * len(gradients)
    return list(LossScaleMismatch().read(make_trace(signals, terms=("contrast", "error"))))


def test_terms_far_apart_are_an_early_warning(make_trace) -> None:
    (symptom,) = read(make_trace, [0.7] * 21, [0.001] * 21)
    assert symptom.severity == 0.3 and not symptom.alarming
    assert symptom.where == "contrast" and symptom.source == "train.py:1" and symptom.step == 0
    assert symptom.evidence["contribution_ratio"] == pytest.approx(700)
    assert symptom.evidence["gradient_ratio"] == pytest.approx(700)
    assert "error" in symptom.message


def test_the_onset_is_where_the_gradients_part(make_trace) -> None:
    (symptom,) = read(make_trace, [0.7] * 21, [0.1, 0.1, 0.1, *[0.001] * 18])
    assert symptom.step == 15


def test_terms_of_one_scale_are_nothing(make_trace) -> None:
    signals = {
        ("train", where, f"term.{name}"): [value] * 21
        for where, value in (("a", 1.0), ("b", 0.05))
        for name in ("grad", "value", "contribution")
    }
    assert not list(LossScaleMismatch().read(make_trace(signals)))


def test_a_single_term_and_one_without_a_gradient_are_nothing(make_trace) -> None:
    alone = make_trace({("train", "a", "term.grad"): [1.0] * 21})
    zero = make_trace(
        {("train", "a", "term.grad"): [1.0] * 21, ("train", "b", "term.grad"): [0.0] * 21}
    )
    assert not list(LossScaleMismatch().read(alone)) and not list(LossScaleMismatch().read(zero))
