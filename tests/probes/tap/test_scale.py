"""How evenly positions are scaled, and whether the gradient tells of a norm behind them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from probes.tap.scale import alignment, balance


def test_positions_of_one_scale_are_balanced() -> None:
    found = balance(functional.rms_norm(torch.randn(4, 6, 8), (8,)))
    assert float(found["scale.balance"]) == pytest.approx(1.0)
    assert float(found["scale.position_balance"]) == pytest.approx(1.0)
    assert found["scale.positions"] == 6


def test_one_loud_position_leaves_one_of_all() -> None:
    output = 1e-4 * torch.ones(4, 5, 8)
    output[0, 0] = 1e30  # its square is not finite
    found = balance(output)
    assert float(found["scale.balance"]) == pytest.approx(1 / 20)


def test_padding_does_not_count() -> None:
    output = torch.ones(2, 6, 8)
    output[:, 3:] = 0.0
    assert float(balance(output)["scale.balance"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("after", "each", "together"),
    [
        (lambda c: functional.rms_norm(c, (16,)).mean(1), False, False),
        (lambda c: functional.layer_norm(c, (16,)).mean(1), False, False),
        (lambda c: functional.rms_norm(c.mean(1), (16,)), True, False),
        (lambda c: c.mean(1), True, True),
    ],
    ids=["rms", "layer", "after pooling", "none"],
)
def test_the_gradient_tells_where_a_norm_comes(after, each, together) -> None:
    torch.manual_seed(0)
    scale = torch.exp(torch.randn(8, 5, 1))
    context = (scale * torch.randn(8, 5, 16)).requires_grad_()
    loss: Tensor = functional.cross_entropy(after(context), torch.randint(16, (8,)))
    (gradient,) = torch.autograd.grad(loss, context)
    found = alignment(context, gradient)
    assert (float(found["scale.alignment"]) > 0.1) is each
    assert (float(found["scale.sample_alignment"]) > 0.1) is together
