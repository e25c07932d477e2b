"""Predictions and targets that are broadcast against each other."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from probes.tap.broadcasts import inflation
from tests.probes.tap.observing import Loss, linear, measured, observe, train


def broadcast(loss: Loss) -> list[float]:
    trace = observe(lambda: train(linear(outputs=1), measured(), loss))
    (line,) = trace.places("loss.broadcast") or [""]
    return trace.signal("train", line, "loss.inflation").values


@pytest.mark.parametrize(
    "loss",
    [
        functional.mse_loss,
        nn.SmoothL1Loss(),
        lambda said, wanted: ((said - wanted) ** 2).mean(),
        lambda said, wanted: (wanted - said).abs().sum() / 8,
        lambda said, wanted: torch.sub(said, wanted).square().mean().sqrt(),
        lambda said, wanted: (said[:, 0].square() * wanted[:, None]).mean(),
        lambda said, wanted: -(said[:, 0] * wanted[:, None]).mean(),
        lambda said, wanted: said.square().mean() - (said[:, 0] * wanted[:, None]).mean(),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_shapes_that_are_broadcast(loss: Loss) -> None:
    assert broadcast(loss) == [8.0] * 4


@pytest.mark.parametrize(
    "loss",
    [
        lambda said, wanted: functional.mse_loss(said[:, 0], wanted),
        lambda said, wanted: ((said[:, 0] - wanted) ** 2).mean(),
        lambda said, wanted: ((said - said.T) ** 2).mean(),
        lambda said, wanted: ((said - wanted[None]) ** 2).mean(),
        lambda said, wanted: (said - wanted).square().amin(1).mean(),
        lambda said, wanted: (said - wanted[:3]).square().mean(),
    ],
    ids=["equal", "equal by hand", "pairs", "spelt out", "reduced", "other sizes"],
)
def test_shapes_that_are_meant(loss: Loss) -> None:
    assert set(broadcast(loss)) <= {1.0}


def test_inflation() -> None:
    one = torch.zeros(4, 1, requires_grad=True)
    assert inflation(one, torch.arange(4)) == inflation(torch.arange(4), one) == 4
    assert inflation(one, torch.ones(4)) == 1, "all targets alike"
    assert inflation(torch.rand(2, 1, 5, 5), torch.rand(2, 5, 5)) == 2
    assert inflation(one, torch.zeros(4, 1)) == inflation(one, torch.zeros(1, 1)) == 1
    assert inflation(torch.zeros(3), torch.zeros(5)) == 1
