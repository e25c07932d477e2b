from __future__ import annotations

import pytest

from probes.objective import Objective, infer_mode, rank


@pytest.mark.parametrize(
    "names",
    [
        ["val_acc", "val_loss", "loss"],
        ["val_loss", "train_acc"],
        ["valAcc", "valLoss", "trainAcc"],
        ["loss", "kl"],
        ["energy_dist", "d_loss", "g_loss"],
        ["fid", "loss_D", "loss_G"],
        ["reward", "critic_loss", "actor_loss"],
        ["Val", "Train", "Loss"],
        ["loss", "val"],
        ["loss", "val", "batch"],
        ["loss", "lr", "epoch"],
        ["loss", "made_up"],
    ],
)
def test_a_person_would_look_at_the_first(names: list[str]) -> None:
    for order in (names, names[::-1]):
        assert rank(dict.fromkeys(order, 9))[0] == names[0]


def test_a_curve_comes_before_a_single_number() -> None:
    assert rank({"test_acc": 1, "val_acc": 9})[0] == "val_acc"


@pytest.mark.parametrize(
    "name",
    ["val_acc", "mIoU", "macroF1", "R2Score", "success", "hits@10", "r@1", "explained_variance"],
)
def test_more_is_better(name: str) -> None:
    assert infer_mode(name) == "max"


@pytest.mark.parametrize("name", ["testMSELoss", "energy_dist", "d_loss", "val/error", "unknown"])
def test_less_is_better(name: str) -> None:
    assert infer_mode(name) == "min"


@pytest.mark.parametrize(
    ("name", "bounded"), [("valAcc", True), ("success", True), ("reward", False), ("loss", False)]
)
def test_the_best_value_is_known_of_shares(name: str, bounded: bool) -> None:
    assert Objective(name=name, mode=infer_mode(name)).bounded is bounded
