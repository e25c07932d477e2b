"""Labels of classes in a squared error are told, and what is left of the gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.tap.class_targets import class_targets
from probes.trace import Trace
from tests.probes.tap.observing import tapped


def observe(loss: Callable[[Tensor, Tensor], Tensor], after: nn.Module) -> Trace:
    with tapped() as observed:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 3), after)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            loss(model(torch.randn(8, 5)), torch.arange(8) % 3).backward()
            optimizer.step()
    return observed.trace


def one_hot(labels: Tensor) -> Tensor:
    return functional.one_hot(labels, 3).float()


@pytest.mark.parametrize(
    "loss",
    [
        lambda said, y: functional.mse_loss(said, one_hot(y)),
        lambda said, y: nn.SmoothL1Loss()(said, one_hot(y)),
        lambda said, y: (one_hot(y) - said).pow(2).mean(),
        lambda said, y: torch.sub(said, one_hot(y)).abs().sum(1).mean(),
        lambda said, y: functional.l1_loss(said[:, 1], (y == 1).float()),
    ],
)
@pytest.mark.parametrize("after", [nn.Softmax(1), nn.Sigmoid()])
def test_classes_are_told(loss: Callable[[Tensor, Tensor], Tensor], after: nn.Module) -> None:
    trace = observe(loss, after)
    (place,) = trace.places("loss.class_targets")
    assert place.split("|")[2] == type(after).__name__.lower()
    assert trace.signal("train", place, "loss.class_targets").values == [1.0] * 4
    assert 0 < trace.signal("train", place, "loss.gradient_kept").values[0] < 0.6


@pytest.mark.parametrize(
    ("loss", "after"),
    [
        (lambda said, y: functional.mse_loss(said, one_hot(y) * 0.7), nn.Softmax(1)),
        (lambda said, y: functional.mse_loss(said, torch.ones(8, 3)), nn.Sigmoid()),
    ],
    ids=["values", "all the same"],
)
def test_other_targets_are_no_classes(
    loss: Callable[[Tensor, Tensor], Tensor], after: nn.Module
) -> None:
    trace = observe(loss, after)
    for place in trace.places("loss.class_targets"):
        assert not any(trace.signal("train", place, "loss.class_targets").values)


def test_without_an_activation_nothing_is_told() -> None:
    trace = observe(lambda said, y: functional.mse_loss(said, one_hot(y)), nn.Tanh())
    assert not trace.places("loss.class_targets")


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_the_share_is_that_of_the_gradients(kind: str) -> None:
    torch.manual_seed(1)
    scores = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    wanted = functional.one_hot(torch.arange(6) % 4, 4).double()
    said = scores.softmax(1) if kind == "softmax" else scores.sigmoid()
    (squared,) = torch.autograd.grad(functional.mse_loss(said, wanted), scores, retain_graph=True)
    entropy = (
        functional.cross_entropy(scores, wanted)
        if kind == "softmax"
        else functional.binary_cross_entropy_with_logits(scores, wanted)
    )
    (crossed,) = torch.autograd.grad(entropy, scores)
    found = class_targets(kind, said, wanted)["loss.gradient_kept"]
    assert found == pytest.approx(float(squared.norm() / crossed.norm()))
