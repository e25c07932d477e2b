from __future__ import annotations

import pytest

from probes.objective import Objective
from probes.overpowering_regulariser import OverpoweringRegulariser

ACCURACY = Objective(name="val_acc", mode="max")
LOSS = Objective(name="val_loss", mode="min")
STUCK = {"val_acc": [0.2, 0.21, 0.2, 0.2], "val_loss": [1.6, 1.6, 1.6, 1.6]}
FALLING = [4.0, 2.0, 0.5, 0.1, 0.05, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02]
SHARES = [0.8, 0.8, 0.7, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
ALIKE = [0.0] * 11


@pytest.fixture
def penalised(make_trace):
    """A run with a cross-entropy and a penalty."""

    def make(penalty=FALLING, shares=SHARES, cosine=ALIKE, loss=1.6, metrics=STUCK):
        signals = {
            ("train", "ce", "term.contribution"): [1.6] * 11,
            ("train", "ce", "term.share"): [1 - share for share in shares],
            ("train", "penalty", "term.contribution"): penalty,
            ("train", "penalty", "term.share"): shares,
            ("train", "ce|penalty", "term.cosine"): cosine,
            ("train", "train.py:1", "prediction.loss"): [loss] * 11,
            ("train", "train.py:1", "label.entropy"): [1.6] * 11,
        }
        return make_trace(signals, metrics, terms=["ce", "penalty"])

    return make


@pytest.mark.parametrize("metric", [ACCURACY, LOSS], ids=["bounded", "unbounded"])
def test_a_penalty_that_has_its_way_is_named(penalised, metric) -> None:
    (symptom,) = OverpoweringRegulariser().read(penalised(), metric)
    assert symptom.alarming and symptom.where == "penalty" and symptom.source == "train.py:2"


def test_so_is_one_that_all_others_balance(penalised) -> None:
    trace = penalised(penalty=[-5.0] * 11, shares=[0.5] * 11, cosine=[-0.95] * 11)
    (symptom,) = OverpoweringRegulariser().read(trace, LOSS)
    assert symptom.where == "penalty"


@pytest.mark.parametrize(
    "changes",
    [
        {"penalty": [4.0, 3.0, 2.0, 1.5, 1.0, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8]},
        {"shares": [0.1] * 11},
        {"loss": 0.4},
        {"penalty": [-5.0] * 11, "cosine": [-0.5] * 11},
    ],
    ids=["it did not win", "weak", "something is learned", "no balance"],
)
@pytest.mark.parametrize("metric", [ACCURACY, LOSS], ids=["bounded", "unbounded"])
def test_other_penalties_are_fine(penalised, changes, metric) -> None:
    assert not list(OverpoweringRegulariser().read(penalised(**changes), metric))


def test_a_metric_that_goes_its_way_is_no_harm(penalised) -> None:
    trace = penalised(metrics={"val_acc": [0.2, 0.5, 0.8, 0.9]})
    assert not list(OverpoweringRegulariser().read(trace, ACCURACY))


def test_what_holds_predictions_against_targets_is_no_regulariser(make_trace, penalised) -> None:
    trace = penalised()
    known = {"event": "term", "where": "penalty", "source": "train.py:2", "operation": "mse_loss"}
    trace.feed(known)
    assert not list(OverpoweringRegulariser().read(trace, ACCURACY))
