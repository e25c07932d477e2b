"""The gradient ratio of two Huber heads: as the tap tells it, by hand, and as 1/N predicts it.

Three quantities go by the name of "gradient ratio", and only the last is what a head is fed by:

* per element of the predictions, before weights: 1/N times the threshold, for errors beyond it;
* sqrt(N / N'), for the norm of that gradient over all elements of the two predictions;
* on the shared parameters, where the N elements add up again.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.probes.tap.observing import observe

BATCH, BARS = 8, 105
POINTERS, COUNTDOWN = 0.7 / 0.0095, 0.1 / 15.9


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 16, batch_first=True)
        self.pointer, self.bar = nn.Linear(16, 2), nn.Linear(16, 1)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        states, _ = self.lstm(windows)
        return self.pointer(states.mean(1)), self.bar(states)[..., 0]


def setting() -> tuple[Heads, Tensor, Tensor, Tensor]:
    torch.manual_seed(5)
    model = Heads()
    countdown = torch.where(torch.rand(BATCH, BARS) < 0.5, -20.0, 20.0)
    return model, torch.randn(BATCH, BARS, 4), 1 + torch.rand(BATCH, 2), countdown


def one_step() -> None:
    model, windows, pointers, countdown = setting()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    pointed, counted = model(windows)
    loss_pointers = functional.huber_loss(pointed, pointers, delta=0.08)
    loss_countdown = functional.huber_loss(counted, countdown, delta=1.0)
    (POINTERS * loss_pointers + COUNTDOWN * loss_countdown).backward()
    optimizer.step()


def by_hand() -> tuple[list[Tensor], list[float]]:
    """Gradients of the unweighted losses at the predictions; norms of the weighted on the trunk."""
    model, windows, pointers, countdown = setting()
    pointed, counted = model(windows)
    losses = (
        functional.huber_loss(pointed, pointers, delta=0.08),
        functional.huber_loss(counted, countdown, delta=1.0),
    )
    at_predictions, on_trunk = [], []
    for loss, prediction, weight in zip(
        losses, (pointed, counted), (POINTERS, COUNTDOWN), strict=True
    ):
        trunk = list(model.lstm.parameters())
        (gradient,) = torch.autograd.grad(loss, prediction, retain_graph=True)
        at_predictions.append(gradient)
        found = torch.autograd.grad(weight * loss, trunk, retain_graph=True)
        on_trunk.append(torch.cat([part.flatten() for part in found]).norm().item())
    return at_predictions, on_trunk


def test_the_tap_agrees_with_autograd_by_hand_on_the_shared_parameters() -> None:
    trace = observe(one_step)
    _, (pointers, countdown) = by_hand()
    told = {where: trace.signal("train", where, "term.grad").values[0] for where in trace.terms}
    assert told["loss_pointers"] == pytest.approx(pointers, rel=1e-4)
    ratio = told["loss_countdown"] / told["loss_pointers"]
    assert ratio == pytest.approx(countdown / pointers, rel=1e-4)
    elements = [trace.signal("train", where, "term.elements").values[0] for where in trace.terms]
    assert elements == [2 * BATCH, BARS * BATCH]


def test_per_element_the_ratio_is_that_of_the_counts_times_that_of_the_thresholds() -> None:
    """0.238 where all errors are beyond the thresholds: the investigation measured 0.178.

    Its errors were beyond the threshold of 1 for three in four elements of the countdown. The
    agreement with sqrt(2 / 105) = 0.138 was a coincidence: that is the ratio of the norms over all
    elements, for equal thresholds.
    """
    (pointers, countdown), _ = by_hand()
    measured = countdown.abs().mean() / pointers.abs().mean()
    assert measured == pytest.approx((2 / BARS) * (1.0 / 0.08), rel=1e-4)
    norms = (countdown.norm() / 1.0) / (pointers.norm() / 0.08)
    assert norms == pytest.approx(math.sqrt(2 / BARS), rel=1e-4)


def test_on_the_shared_parameters_the_mean_over_elements_predicts_neither() -> None:
    """The weights by running means decide: a ratio far below what either count predicts."""
    _, (pointers, countdown) = by_hand()
    assert countdown / pointers < 0.1 * (2 / BARS) ** 0.5
    unweighted = (countdown / COUNTDOWN) / (pointers / POINTERS)
    assert unweighted > (2 / BARS) ** 0.5
