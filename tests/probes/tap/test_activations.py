"""Activations are found however they are called, and their units are looked at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.tap.layer_gradients import through_time
from probes.tap.unit_statistics import Silence, saturation
from probes.trace import Trace
from tests.probes.tap.observing import tapped


class Model(nn.Module):
    def __init__(self, activation: Callable[[Tensor], Tensor], bias: float = 0.0) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 10), nn.Linear(10, 1)
        self.activation = activation
        nn.init.constant_(self.first.bias, bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.sigmoid(self.second(self.activation(self.first(inputs))))


def observe(make: Callable[[], nn.Module], steps: int = 12, rows: int = 50) -> Trace:
    with tapped() as observed:
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(steps):
            loss = functional.mse_loss(model(torch.randn(rows, 6))[:, 0], torch.randn(rows))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return observed.trace


@pytest.mark.parametrize(
    ("activation", "where", "target"),
    [
        (nn.ReLU(), "activation", "activation"),
        (functional.relu, "first", "relu@test_activations.py:"),
        (torch.relu_, "first", "relu@test_activations.py:"),
        (lambda x: x.relu(), "first", "relu@test_activations.py:"),
        (lambda x: x.clamp(min=0), "first", "clamp@test_activations.py:"),
    ],
    ids=["module", "function", "in place", "method", "clamp"],
)
def test_dead_units_are_seen(activation, where, target) -> None:
    trace = observe(lambda: Model(activation, bias=-50.0))
    assert list(trace.activations) == [where]  # The sigmoid at the end is not hidden.
    info = trace.activations[where]
    assert (info.module or info.call or "").startswith(target)
    assert info.layer == "first" and info.kind == "rectified"
    assert trace.signal("train", where, "unit.dead").values[-1] == 1.0
    assert trace.signal("train", where, "unit.count").values[-1] == 10


def test_living_units_are_not_dead() -> None:
    trace = observe(lambda: Model(functional.relu))
    assert trace.signal("train", "first", "unit.dead").values[-1] == 0.0


def test_an_activation_that_layers_share_is_told_by_the_layers() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
            self.squash = nn.Tanh()

        def forward(self, hidden: Tensor) -> Tensor:
            for layer in self.layers:
                hidden = self.squash(layer(100 * hidden))
            return hidden

    trace = observe(Shared)
    assert list(trace.activations) == ["squash", "layers.1"]
    assert trace.activations["layers.1"].module == "squash"
    assert trace.signal("train", "squash", "unit.saturated").values[-1] > 0.9


def test_a_unit_is_dead_after_a_long_silence_and_no_longer_when_it_speaks() -> None:
    silence = Silence()
    rows = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).repeat(30, 1)
    found = [silence.look(rows, 60) for _ in range(5)]
    assert "unit.dead" not in found[3] and float(found[4]["unit.dead"]) == 0.5
    rows[0] = 1.0
    assert float(silence.look(rows, 60)["unit.dead"]) == 0.0
    assert float(silence.look(torch.full((60, 2), torch.nan), 60)["unit.dead"]) == 0.0


def test_saturation() -> None:
    rows = torch.tensor([[0.999, 0.5], [0.001, 0.5]])
    assert float(saturation(rows, "sigmoid")["unit.saturated"]) == 0.5
    assert float(saturation(rows, "tanh")["unit.saturated"]) == 0.25
    assert saturation(3 * rows, "tanh") == {}  # another function


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_the_gradient_through_time_is_that_of_autograd(nonlinearity) -> None:
    torch.manual_seed(0)
    layer = nn.RNN(3, 5, nonlinearity=nonlinearity, batch_first=True)
    inputs = torch.randn(2, 7, 3)
    first = layer(inputs[:, :1])[1].detach().requires_grad_()
    rest, _ = layer(inputs[:, 1:], first)
    signs = torch.where(rest[:, -1] > 0, 1.0, -1.0)
    (gradient,) = torch.autograd.grad((rest[:, -1] * signs).sum(), first)
    found = through_time(layer, layer(inputs)[0].detach())
    assert float(found["gradient.time"]) == pytest.approx(float(gradient.norm() / signs.norm()))
    assert found["gradient.length"] == 7


def test_gradients_of_layers_and_of_the_calls_of_a_loop() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.RNNCell(6, 6), nn.Linear(6, 1)

        def forward(self, inputs: Tensor) -> Tensor:
            state = torch.zeros_like(inputs)
            for _ in range(9):
                state = self.cell(inputs, state)
            return self.head(state)

    trace = observe(Loop, steps=3)
    norms = [trace.signal("train", "cell", f"gradient.call{n}").values[-1] for n in (1, 2, 4, 8)]
    assert norms == sorted(norms) and norms[0] < 0.2 * norms[-1]
    assert len(trace.signal("train", "head", "gradient.call1")) == 3
