"""Weights whose rows are all the same, and stay so."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.trace import Trace
from tests.probes.tap.observing import observe


class Listener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(6, 40, batch_first=True), nn.Linear(40, 3)

    def forward(self, x):
        return self.head(self.gru(x)[0].mean(1))


def alike(trace: Trace) -> set[str]:
    """The weights that are told of in the last step."""
    places = trace.places("alike.rows")
    return {where for where in places if trace.signal("train", where, "alike.rows").steps[-1] == 4}


def run(model: nn.Module, *constant: nn.Module) -> Trace:
    def program() -> None:
        for layer in constant:
            for parameter in layer.parameters():
                nn.init.constant_(parameter, 0.1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        shape = (8, 5, 6) if isinstance(model, Listener) else (8, 6)
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(torch.randn(shape)), torch.randint(3, (8,)))
            loss.backward()
            optimizer.step()

    torch.manual_seed(0)
    return observe(program)


def stack() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 50), nn.Tanh(), nn.Linear(50, 20), nn.Tanh(), nn.Linear(20, 3)
    )


def test_layers_that_begin_with_one_value_stay_one_unit() -> None:
    model = stack()
    trace = run(model, model)
    assert alike(trace) == {"0.weight", "2.weight"}
    assert trace.signal("train", "2.weight", "alike.rows").values == [20.0] * 5
    assert trace.signal("train", "2.weight", "alike.elements").values == [1000.0] * 5


def test_each_gate_of_a_recurrent_layer_is_one_unit() -> None:
    model = Listener()
    assert alike(run(model, model)) == {"gru.weight_ih_l0", "gru.weight_hh_l0"}


@pytest.mark.parametrize("which", [(), (0,), (4,), (0, 4)])
def test_what_differs_before_or_behind_parts_the_units(which: tuple[int, ...]) -> None:
    model = stack()
    assert not alike(run(model, *(model[place] for place in which)))


def test_a_layer_of_one_unit_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(6, 1), nn.Linear(1, 3))
    assert not alike(run(model, model))
