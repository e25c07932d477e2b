"""A squared error of probabilities is trained on as the cross-entropy that it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies import remedies
from tests.remedies.training import same

ACTION = remedies["swap-loss"].default("loss")
Loss = Callable[[Tensor, Tensor], Tensor]


def trained(loss: Loss) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(4):
        inputs, labels = torch.randn(9, 5), torch.arange(9) % 3
        optimizer.zero_grad()
        loss(model(inputs), functional.one_hot(labels, 3).float()).backward()
        optimizer.step()
    return model


def summed(scores: Tensor, wanted: Tensor) -> Tensor:
    return functional.cross_entropy(scores, wanted, reduction="sum")


SOFTMAX: list[tuple[Loss, Loss]] = [
    (lambda s, y: functional.mse_loss(s.softmax(1), y), functional.cross_entropy),
    (lambda s, y: nn.L1Loss()(nn.Softmax(-1)(s), target=y), functional.cross_entropy),
    (lambda s, y: ((torch.softmax(s, 1) - y) ** 2).mean(), functional.cross_entropy),
    (lambda s, y: (y - s.softmax(1)).square().sum(1).mean(), functional.cross_entropy),
    (lambda s, y: (s.softmax(1) - y).pow(2).sum(dim=1).sum(), summed),
    (lambda s, y: functional.mse_loss(s.softmax(1), y, reduction="sum"), summed),
]


@pytest.mark.parametrize(("loss", "wanted"), SOFTMAX)
def test_a_softmax(treat: Any, loss: Loss, wanted: Loss) -> None:
    model, trace = treat(lambda: trained(loss), (ACTION,))
    assert same(model, trained(wanted)) and not same(model, trained(loss))
    assert [event["target"] for event in trace.applied] == ["loss"]


@pytest.mark.parametrize(
    "loss",
    [
        lambda s, y: functional.huber_loss(s.sigmoid(), y),
        lambda s, y: ((s.sigmoid().flatten() - y.flatten()) ** 2).mean(),
        lambda s, y: functional.mse_loss(s.sigmoid(), y, reduction="none").sum(1).mean() / 3,
    ],
)
def test_a_sigmoid(treat: Any, loss: Loss) -> None:
    model, _ = treat(lambda: trained(loss), (ACTION,))
    assert same(model, trained(functional.binary_cross_entropy_with_logits))


def test_the_value_stays_what_the_script_computes(treat: Any) -> None:
    seen: list[tuple[float, float]] = []

    def loss(scores: Tensor, wanted: Tensor) -> Tensor:
        found = functional.mse_loss(scores.softmax(1), wanted)
        real = ((scores.detach().softmax(1) - wanted).numpy() ** 2).mean()
        seen.append((found.item(), float(real)))
        return found

    treat(lambda: trained(loss), (ACTION,))
    assert all(found == pytest.approx(real) for found, real in seen)


@pytest.mark.parametrize(
    "loss",
    [
        lambda s, y: functional.mse_loss(s, y),
        lambda s, y: functional.mse_loss(s.softmax(1), 0.8 * y),
        lambda s, y: ((s.tanh() - y) ** 2).mean(),
    ],
)
def test_other_regressions_are_left_alone(treat: Any, loss: Loss) -> None:
    model, trace = treat(lambda: trained(loss), (ACTION,))
    assert not trace.applied and same(model, trained(loss))
