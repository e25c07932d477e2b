from __future__ import annotations

import pytest

from probes.scrambled_axes import ScrambledAxes


def read(make_trace, mixed, well=()):
    signals = {
        ("train", "train.py:2|train.py:1", "loss.scrambled"): mixed,
        ("train", "train.py:2|", "loss.scrambled"): well,
        ("train", "train.py:9|", "loss.scrambled"): [0.0] * 50,
        ("train", "train.py:1", "scramble.classes"): [5.0] * len(mixed),
    }
    return list(ScrambledAxes().read(make_trace(signals, terms=("other", "error"))))


@pytest.mark.parametrize("well", [[], [0.0] * 2])
def test_most_steps_are_mixed(make_trace, well) -> None:
    (symptom,) = read(make_trace, [1.0] * 8, well)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("error", "train.py:1")
    assert "mixes the 5 classes" in symptom.message
    assert symptom.message.count("train.py:2") == 1


@pytest.mark.parametrize(
    ("mixed", "well"), [([1.0] * 2, []), ([1.0] * 8, [0.0] * 3), ([], [0.0] * 8)]
)
def test_nothing_is_found(make_trace, mixed, well) -> None:
    assert not read(make_trace, mixed, well)


def test_a_loss_without_a_term_is_called_by_its_line(make_trace) -> None:
    signals = {
        ("train", "train.py:2|train.py:1", "loss.scrambled"): [1.0] * 4,
        ("train", "train.py:1", "scramble.classes"): [5.0] * 4,
    }
    (symptom,) = ScrambledAxes().read(make_trace(signals))
    assert symptom.where == "train.py:2"
