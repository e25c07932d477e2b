"""Gradients that are all zeros, of parameters that a loss depends on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from probes.trace import Trace
from tests.probes.tap.observing import observe


class Adapted(nn.Module):
    """A layer, and a product of two matrices beside it."""

    def __init__(self, down: float, up: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.down = nn.Parameter(down * torch.randn(2, 6))
        self.up = nn.Parameter(up * torch.randn(3, 2))
        self.unused = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x @ self.down.T @ self.up.T


def run(make: Callable[[], nn.Module], set_to_none: bool = True, late: bool = False) -> Trace:
    def program() -> None:
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad(set_to_none)
            model(torch.randn(8, 6)).square().sum().backward()
            if late:
                optimizer.zero_grad(set_to_none)
            optimizer.step()

    return observe(program)


def test_zeros_on_both_sides_of_a_product_block_each_other() -> None:
    trace = run(lambda: Adapted(0.0))
    assert trace.places("blocked.elements") == ["down", "up"]
    sizes = trace.signal("train", "up", "blocked.elements").values
    assert sizes == [6.0] * 5
    for mark in ("zeros", "fresh"):
        assert trace.signal("train", "down", f"blocked.{mark}").values == [1.0] * 5


def test_what_is_multiplied_with_nothing_gets_no_gradient_either() -> None:
    def without() -> nn.Module:
        model = Adapted(1.0, 1.0)
        model.up.register_hook(torch.zeros_like)
        return model

    trace = run(without)
    assert trace.places("blocked.elements") == ["up"]
    assert trace.signal("train", "up", "blocked.zeros").values == [0.0] * 5


def test_one_of_the_two_at_random_is_enough() -> None:
    trace = run(lambda: Adapted(1.0))
    assert trace.signal("train", "down", "blocked.elements").steps == [0]  # Until ``up`` is none.


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_that_are_cleared_before_the_step_are_not_blocked(set_to_none: bool) -> None:
    assert not run(lambda: Adapted(1.0, 1.0), set_to_none, late=True).places("blocked.elements")


def test_modules_that_join_a_model_later_are_named_and_told_of() -> None:
    def program() -> None:
        model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
        for outputs in (2, 3):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            for _ in range(3):
                optimizer.zero_grad()
                model(torch.randn(8, 6)).square().sum().backward()
                optimizer.step()
            if outputs == 2:
                model[2] = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))

    trace = observe(program)
    assert trace.modules["2"].type == "Sequential" and trace.modules["2.1"].parameters == 18
    assert len(trace.signal("train", "2.1", "output.rms")) and not trace.places("Sequential:2")
