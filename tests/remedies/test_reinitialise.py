from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies
from remedies.surgery.initialisation import initialise


def redraw(target: str = "", scheme: str = "kaiming") -> tuple[Action, ...]:
    return (remedies["R504"].default(target).model_copy(update={"params": {"scheme": scheme}}),)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(40, 200), nn.LayerNorm(200)
        self.second, self.memory = nn.Linear(200, 8), nn.LSTM(8, 6)
        for parameter in self.parameters():
            nn.init.constant_(parameter, -7.0)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.memory(self.second(self.norm(self.first(inputs))))[0]


def program() -> Model:
    torch.manual_seed(3)
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    model(torch.randn(5, 40)).sum().backward()
    optimizer.step()
    model.number = torch.rand(())
    return model


def test_the_whole_model_has_new_weights(treat) -> None:
    model, trace = treat(program, redraw())
    assert model.first.weight.std().item() == pytest.approx(math.sqrt(2 / 40), rel=0.05)
    assert not model.first.bias.any() and not model.memory.bias_hh_l0.any()
    gate = model.memory.weight_hh_l0[:6]
    assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-5)
    assert bool((model.norm.weight == -7).all())
    assert [event["remedy"] for event in trace.applied] == ["R504"]


def test_one_layer_has(treat) -> None:
    model, _ = treat(program, redraw("second", "orthogonal"))
    assert bool((model.first.weight == -7).all())
    product = model.second.weight @ model.second.weight.T
    assert torch.allclose(product, torch.eye(8), atol=1e-5)


def test_the_random_numbers_of_the_program_stay(treat) -> None:
    one, _ = treat(program, redraw())
    other, _ = treat(program, ())
    assert one.number == other.number
    again, _ = treat(program, redraw())
    assert torch.equal(one.first.weight, again.first.weight)


def test_an_unknown_scheme_is_refused(treat) -> None:
    with pytest.raises(ValueError, match="unknown scheme"):
        treat(program, redraw(scheme="zeros"))
    with pytest.raises(ValueError, match="unknown scheme"):
        initialise(nn.Linear(2, 2), "zeros", torch.Generator())


def test_targets_are_the_model_and_the_layer_that_feeds_what_is_named() -> None:
    trace = Trace.of(
        [
            {"event": "module", "where": "net.0", "type": "Linear", "parameters": 9},
            {"event": "module", "where": "net.1", "type": "ReLU"},
            {"event": "activation", "where": "net.1", "layer": "net.0"},
        ]
    )
    local = Symptom(code="P701", name="x", severity=1, where="net.1", message="")
    assert list(remedies["R504"].targets([local], trace)) == ["", "net.0"]
    deep = local.model_copy(update={"code": "P602"})
    assert list(remedies["R504"].targets([deep], trace)) == [""]
