from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies import Action, remedies

LABELS = torch.tensor([0] * 12 + [1] * 3 + [2] * 1)


class Net(nn.Module):
    def __init__(self, classes: int, convolution: bool = False) -> None:
        super().__init__()
        self.head = nn.Linear(6, classes)  # made first, at work last
        self.body = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
        self.mask = nn.Conv2d(6, classes, 1) if convolution else None
        nn.init.constant_(self.head.bias, -0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.body(inputs)
        return self.head(hidden) if self.mask is None else self.mask(hidden[:, :, None, None])


def train(model: nn.Module, loss_of, rate: float = 0.0) -> nn.Module:
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(model(torch.randn(16, 4))).backward()
        optimizer.step()
    return model


def action(to: str, target: str = "head") -> Action:
    return Action(remedy="R502", name="reset-head-bias", target=target, params={"to": to})


def cross_entropy(logits: Tensor) -> Tensor:
    return nn.CrossEntropyLoss()(logits, LABELS)


def test_the_bias_is_zero_before_the_first_pass(treat) -> None:
    model, trace = treat(lambda: train(Net(3), cross_entropy), (action("zero"),))
    assert torch.equal(model.head.bias, torch.zeros(3))
    assert len(trace.applied) == 1


def test_a_bias_of_zero_is_nothing_to_change(treat) -> None:
    def program() -> nn.Module:
        model = Net(3)
        nn.init.zeros_(model.head.bias)
        return train(model, cross_entropy)

    assert not treat(program, (action("zero"),))[1].applied


def test_the_bias_is_the_log_prior_of_the_labels(treat) -> None:
    model, trace = treat(lambda: train(Net(3), cross_entropy), (action("log-prior"),))
    expected = torch.tensor([13 / 19, 4 / 19, 2 / 19]).log()
    assert torch.allclose(model.head.bias, expected)
    assert len(trace.applied) == 1


def test_training_goes_on_from_there(treat) -> None:
    model, _ = treat(lambda: train(Net(3), cross_entropy, 0.1), (action("log-prior"),))
    assert not torch.allclose(model.head.bias, torch.tensor([13 / 19, 4 / 19, 2 / 19]).log())


@pytest.mark.parametrize("convolution", [False, True])
def test_labels_of_each_output_and_of_each_pixel(treat, convolution: bool) -> None:
    positive = (torch.arange(32).view(16, 2) % 4 == 0).float()  # a half, none
    labels = positive[:, :, None, None] if convolution else positive

    def binary(logits: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, labels)

    where = "mask" if convolution else "head"
    model, _ = treat(lambda: train(Net(2, convolution), binary), (action("log-prior", where),))
    bias = (model.mask if convolution else model.head).bias
    assert torch.allclose(bias, torch.tensor([9 / 9, 1 / 17]).log())


def test_what_tells_of_no_labels_changes_nothing(treat) -> None:
    def program() -> nn.Module:
        model = Net(3)
        with torch.no_grad():
            cross_entropy(model(torch.randn(16, 4)))
        return train(model, lambda logits: logits.square().mean())

    model, trace = treat(program, (action("log-prior"),))
    assert torch.equal(model.head.bias, torch.full((3,), -0.5))
    assert not trace.applied


def test_the_output_layer_is_the_last_at_work(treat) -> None:
    _, trace = treat(lambda: train(Net(3), cross_entropy), ())
    assert list(remedies["R502"].targets([], trace)) == ["head"]
