"""Which activation function the input of a loss comes out of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.probes.tap.observing import Loss, classified, linear, observe, train


def activated(model: nn.Module, loss: Loss) -> dict[str, float]:
    trace = observe(lambda: train(model, classified(), loss))
    found = {}
    for place in trace.places("loss.activated"):
        _, where, kind, name = place.split("|")
        where = where if where in trace.modules else "line"
        found[f"{where} {kind} {name}"] = max(trace.signal("train", place, "loss.activated").values)
    return found


def soft_rows(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(scores.softmax(-1).reshape(2, 4, 3).flatten(0, 1), labels)


def binary(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(
        torch.sigmoid(scores[:, 0]).squeeze(), (labels > 0).float()
    )


def by_hand(scores: Tensor, labels: Tensor) -> Tensor:
    shares = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return functional.cross_entropy(shares, labels)


@pytest.mark.parametrize(
    ("model", "loss", "found"),
    [
        (linear(nn.Softmax(-1)), functional.cross_entropy, "1 softmax cross_entropy"),
        (linear(nn.ReLU()), nn.CrossEntropyLoss(), "1 relu cross_entropy"),
        (linear(), soft_rows, "line softmax cross_entropy"),
        (linear(), binary, "line sigmoid binary_cross_entropy_with_logits"),
        (linear(nn.Softmax(-1)), nn.NLLLoss(), "1 softmax nll_loss"),
        (linear(), by_hand, "line probabilities cross_entropy"),
    ],
)
def test_the_activation_before_a_loss_is_found(model: nn.Module, loss: Loss, found: str) -> None:
    assert activated(model, loss)[found] == 1.0


def test_scores_are_no_logarithms() -> None:
    assert activated(linear(), functional.nll_loss)["line scores nll_loss"] == 1.0
    assert set(activated(linear(nn.LogSoftmax(-1)), nn.NLLLoss()).values()) == {0.0}


@pytest.mark.parametrize("after", [(), (nn.LogSoftmax(-1),), (nn.Softmax(-1), nn.Linear(3, 3))])
def test_raw_scores_are_fine(after: tuple[nn.Module, ...]) -> None:
    assert set(activated(linear(*after), functional.cross_entropy).values()) <= {0.0}
