"""An output layer speaks in the units of the targets, and learns standardised ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies import remedies

ACTION = remedies["standardise-targets"].default("2")
Loss = Callable[[Tensor, Tensor], Tensor]
HAND: Loss = lambda said, wanted: ((said - wanted) ** 2).mean()  # noqa: E731


def trained(loss: Loss, level: float, spread: float, outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, outputs))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs = torch.randn(32, 5)
    wanted = torch.stack([level + spread * inputs[:, i] for i in range(outputs)], 1)
    for _ in range(80):
        optimizer.zero_grad()
        loss(model(inputs), wanted).backward()
        optimizer.step()
    with torch.no_grad():
        model.error = float((model(inputs) - wanted).square().mean().sqrt())
    return model


@pytest.mark.parametrize("loss", [functional.mse_loss, HAND])
@pytest.mark.parametrize("outputs", [1, 2])
def test_targets_of_any_level_are_learned(treat: Any, loss: Loss, outputs: int) -> None:
    model, trace = treat(lambda: trained(loss, 3000.0, 50.0, outputs), (ACTION,))
    assert model.error < 25, "in the units of the targets"
    assert [event["target"] for event in trace.applied] == ["2"]
    assert trained(loss, 3000.0, 50.0, outputs).error > 1.2 * model.error


def test_weights_are_those_of_standardised_targets(treat: Any) -> None:
    one, _ = treat(lambda: trained(HAND, 3000.0, 50.0), (ACTION,))
    other, _ = treat(lambda: trained(HAND, 0.0, 1.0), (ACTION,))
    assert torch.allclose(one[0].weight, other[0].weight, atol=1e-2)


def test_a_classifier_is_left_alone(treat: Any) -> None:
    def loss(scores: Tensor, wanted: Tensor) -> Tensor:
        return functional.cross_entropy(scores, torch.arange(32) % 2)

    _, trace = treat(lambda: trained(loss, 0.0, 1.0, 2), (ACTION,))
    assert not trace.applied
