"""A loss is given what comes before the activation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies import remedies
from tests.remedies.training import Loss, same, trained

ACTION = remedies["drop-activation"].default("loss")


def softmax(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(scores.softmax(-1)[None].squeeze(0), labels)


def shares(scores: Tensor, labels: Tensor) -> Tensor:
    exponential = scores.exp()
    return functional.cross_entropy(exponential / exponential.sum(-1, keepdim=True), labels)


def picked(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.nll_loss(torch.softmax(scores, 1), labels)


@pytest.mark.parametrize("loss", [softmax, shares, picked])
def test_the_loss_is_given_what_it_takes(treat: Any, loss: Loss) -> None:
    wanted = trained(functional.cross_entropy)
    model, trace = treat(lambda: trained(loss), (ACTION,))
    assert same(model, wanted) and not same(trained(loss), wanted)
    assert [event["target"] for event in trace.applied] == ["loss"]
    seen = [v for place in trace.places("loss.activated") for v in
            trace.signal("train", place, "loss.activated").values]  # fmt: skip
    assert not any(seen), "what is measured is what is trained on"


def test_the_rest_of_the_program_sees_the_activation(treat: Any) -> None:
    outputs = []

    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        outputs.append(scores.detach())
        return functional.cross_entropy(scores, labels)

    model, _ = treat(lambda: trained(loss, after=(nn.Softmax(1),)), (ACTION,))
    assert same(model, trained(functional.cross_entropy))
    assert all(torch.allclose(output.sum(1), torch.ones(8)) for output in outputs)


def test_a_sigmoid_and_a_relu_in_place(treat: Any) -> None:
    def wanted(scores: Tensor, labels: Tensor) -> Tensor:
        target = functional.one_hot(labels, 3).float()
        return functional.binary_cross_entropy_with_logits(scores, target)

    for after in (nn.Sigmoid(), nn.ReLU(inplace=True)):
        model, _ = treat(lambda a=after: trained(wanted, after=(a,)), (ACTION,))
        assert same(model, trained(wanted))


@pytest.mark.parametrize(
    "loss",
    [functional.cross_entropy, lambda said, y: functional.nll_loss(said.log_softmax(1), y)],
)
def test_a_loss_that_is_right_is_left_alone(treat: Any, loss: Loss) -> None:
    model, trace = treat(lambda: trained(loss), (ACTION,))
    assert not trace.applied and same(model, trained(loss))
