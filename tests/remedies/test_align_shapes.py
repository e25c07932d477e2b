"""Targets get the shape of the predictions."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn
from torch.nn import functional

from remedies import remedies
from tests.remedies.training import Loss, same, trained

ACTION = remedies["align-shapes"].default("loss")


def aligned(said: Tensor, wanted: Tensor) -> Tensor:
    return functional.mse_loss(said[:, 0], wanted.float())


@pytest.mark.parametrize(
    "loss",
    [
        lambda said, wanted: functional.mse_loss(said, wanted.float()),
        lambda said, wanted: nn.MSELoss()(input=said, target=wanted.float()),
        lambda said, wanted: ((said - wanted.float()) ** 2).mean(),
        lambda said, wanted: (wanted - said).square().mean(),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_targets_get_the_shape_of_predictions(treat: Any, loss: Loss) -> None:
    wanted = trained(aligned, 1)
    model, trace = treat(lambda: trained(loss, 1), (ACTION,))
    assert same(model, wanted) and not same(trained(loss, 1), wanted)
    assert trace.applied[0]["detail"] == "target (8,) now (8, 1)"


def test_pairs_on_purpose_are_left_alone(treat: Any) -> None:
    def loss(said: Tensor, wanted: Tensor) -> Tensor:
        return (said - said.T).square().mean() + (said[:, 0] - wanted).square().mean()

    model, trace = treat(lambda: trained(loss, 1), (ACTION,))
    assert not trace.applied and same(model, trained(loss, 1))
