"""The call that made the first NaN or infinity is found, at probed steps and between them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from probes.trace import Trace
from tests.probes.tap.observing import tapped

LINES = Path(__file__).read_text().splitlines()


def observe(loss_of, bad_step: int, steps: int = 60) -> Trace:
    with tapped() as observed:
        torch.manual_seed(0)
        model = nn.Linear(3, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for step in range(steps):
            loss = loss_of(model(torch.randn(5, 3)), 0.0 if step == bad_step else 1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return observed.trace


def log_of_zero(output: Tensor, scale: float) -> Tensor:
    fine = torch.log(output.square() + 1).mean()
    chance = output.softmax(1) * scale
    return fine - torch.log(chance).mean()  # broken


def divided_by_zero(output: Tensor, scale: float) -> Tensor:
    spread = output.square().mean() * scale
    return output.square().sum() / spread  # broken


def root_at_zero(output: Tensor, scale: float) -> Tensor:
    return (output * scale).square().sum(1).sqrt().mean()  # broken


@pytest.mark.parametrize("bad_step", [5, 45], ids=["probed", "between"])
@pytest.mark.parametrize(
    ("loss_of", "operation", "direction"),
    [
        (log_of_zero, "log", "forward"),
        (divided_by_zero, "div", "forward"),
        (root_at_zero, "sqrt", "backward"),
    ],
)
def test_the_call_is_named(loss_of, operation, direction, bad_step) -> None:
    found = observe(loss_of, bad_step).non_finite
    assert found is not None
    assert (found.operation, found.direction) == (operation, direction)
    assert LINES[int(found.source.split(":")[1]) - 1].endswith("# broken")
    assert bad_step <= found.step <= bad_step + 1


def test_a_mask_of_infinities_is_no_fault() -> None:
    def masked(output: Tensor, scale: float) -> Tensor:
        hidden = output.masked_fill(torch.eye(5, 4) > 0, float("-inf"))
        return hidden.softmax(1).square().mean()

    assert observe(masked, bad_step=-1).non_finite is None
