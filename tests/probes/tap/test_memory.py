"""The tap lets go of what it has looked at: a script that fits in memory fits with it, too."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.benchmarks.overhead import in_process, tensors
from tests.probes.tap.observing import tapped


@pytest.fixture(autouse=True)
def tapped_without_garbage_collection() -> Iterator[None]:
    """With every step probed; what is held by cycles alone stays."""
    with tapped():
        gc.disable()
        yield
        gc.enable()


def test_outputs_that_no_gradient_needs_are_gone_before_the_backward_pass() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    outputs: list[weakref.ref[Tensor]] = []
    model[1].register_forward_hook(lambda _, args, output: outputs.append(weakref.ref(output)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        loss = functional.cross_entropy(model(torch.randn(8, 1, 5, 5)), torch.arange(8))
        assert outputs[-1]() is None
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_what_the_script_lets_go_of_is_gone() -> None:
    def attend(x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x)

    model = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        batch = torch.randn(4, 5, 3)
        logits = attend(torch.tanh(model(batch)))
        loss = functional.mse_loss(logits, batch) + logits.square().mean()
        held = [weakref.ref(batch), weakref.ref(logits)]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        del batch, logits, loss
        assert [reference() for reference in held] == [None, None]


def test_what_a_function_asks_of_its_own_variables_stays_as_it_is() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rate = 0.5
    settings = locals()
    torch.tanh(model(torch.randn(3, 2))).mean().backward()
    optimizer.step()
    assert settings["rate"] == rate and settings["model"] is model


@pytest.mark.parametrize("name", ["cnn", "heads"])
def test_tensors_take_little_more_than_without_the_tap(name: str) -> None:
    held, bare = (in_process(tensors, name, variant, 4) for variant in ("tap", "bare"))
    assert held < 1.15 * bare
