"""P352 on hand-made traces."""

from __future__ import annotations

import pytest

from probes import Objective, probes

ACC = Objective(name="val_acc", mode="max")
STUCK = [0.1, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]
MOVES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75]
CHANCE = [0.1, 0.12, 0.09, 0.11, 0.1, 0.12, 0.1, 0.11]
GOOD = [0.2, 0.6, 0.9, 0.99, 1.0, 1.0, 1.0, 1.0]
DROPOUT = {"where": "net.2", "type": "Dropout", "source": "train.py:5", "parent": "net"}


def read(make_trace, share=0.9, place="net.2", train=0.8, evaluated=0.7, curve=STUCK) -> list:
    signals = {("train", place, "dropout.share"): [share] * 8}
    for phase, unknown in (("train", train), ("eval", evaluated)):
        signals[phase, "train.py:9", "target.unexplained"] = [unknown] * 8
    return list(probes["P352"].read(make_trace(signals, {"val_acc": curve}, [DROPOUT]), ACC))


@pytest.mark.parametrize(
    ("place", "where", "source"),
    [("net.2", "net.2", "train.py:5"), ("net@train.py:7", "net", "train.py:7")],
)
def test_dropout_that_throws_nearly_all_away(make_trace, place, where, source) -> None:
    (symptom,) = read(make_trace, place=place)
    assert (symptom.where, symptom.source, symptom.severity) == (where, source, 0.9)


@pytest.mark.parametrize(("share", "curve"), [(0.6, STUCK), (0.9, MOVES)])
def test_what_may_be_meant_is_an_observation(make_trace, share, curve) -> None:
    (symptom,) = read(make_trace, share=share, curve=curve)
    assert symptom.severity == 0.3


@pytest.mark.parametrize(
    "given",
    [
        {"share": 0.5},  # As much as is usual.
        {"train": 0.2},  # It learns all the same.
        {"evaluated": 1.1},  # It learns chance by heart.
        {"curve": GOOD},
    ],
)
def test_near_misses(make_trace, given) -> None:
    assert not read(make_trace, **given)


def learn(optimize, name="val_acc", mode="max", known=0.1, curve=CHANCE, ratio=0.01) -> list:
    rows = [("train.py:20", "target.correlation", known)]
    trace = optimize([1.0, 1.0], curve, ratio=ratio, name=name, rows=rows)
    return list(probes["P352"].read(trace, Objective(name=name, mode=mode)))


@pytest.mark.parametrize(
    ("name", "mode", "curve"),
    [("val_acc", "max", CHANCE), ("val_mae", "min", [0.61, 0.6, 0.62, 0.61, 0.6])],
)
def test_nothing_was_learned(optimize, name, mode, curve) -> None:
    (symptom,) = learn(optimize, name, mode, curve=curve)
    assert (symptom.severity, symptom.source) == (0.5, "train.py:20")
    assert symptom.evidence["path"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "given",
    [
        {"known": 0.2},  # It knows something, as of labels two in five of which are wrong.
        {"curve": MOVES},
        {"ratio": 5e-4},  # It was not tried: P304.
        {"name": "val_mae", "mode": "min", "curve": [0.9, 0.5, 0.4, 0.4, 0.4, 0.4]},
    ],
)
def test_what_has_learned_something_or_has_not_begun(optimize, given) -> None:
    assert not learn(optimize, **given)
