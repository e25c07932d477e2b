"""What is told of parts that are not trained."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.probes.tap.observing import line_of, observe

INPUTS = torch.arange(24.0).reshape(6, 4) / 24


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trainable = False
        self.body = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU())
        self.head = nn.Linear(5, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(inputs))


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, shift: float, clear: bool) -> None:
    for _ in range(12):
        optimizer.zero_grad(set_to_none=clear)
        model(INPUTS + shift).square().mean().backward()
        optimizer.step()


def two_stages(how: str, clear: bool = True) -> Net:
    """Twelve steps of everything, twelve with the body frozen in some way."""
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    steps(model, optimizer, 0.0, clear)
    if how == "attribute":
        model.body.requires_grad = False
    elif how == "misspelt":
        for parameter in model.body.parameters():
            parameter.require_grad = False
    elif how == "asked":
        model.body.requires_grad_(False)
    elif how == "left out":
        optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
    model.train()
    steps(model, optimizer, 3.0, clear)
    return model


@pytest.mark.parametrize("how", ["attribute", "misspelt"])
def test_an_attribute_is_told_with_its_line_and_what_moves_all_the_same(how: str) -> None:
    trace = observe(lambda: two_stages(how))
    places = trace.places("frozen.misplaced")
    assert {place.partition("@")[0] for place in places} == {"body"}
    assert line_of(places[0]).endswith("require_grad = False" if how == "misspelt" else "= False")
    assert min(trace.signal("train", "body", "frozen.stepped").values) > 0
    assert trace.signal("train", "body", "frozen.elements").steps[0] >= 12


def test_decay_moves_what_has_a_gradient_of_zero() -> None:
    trace = observe(lambda: two_stages("asked", clear=False))
    moved = trace.signal("train", "body", "frozen.stepped").values
    assert moved == pytest.approx([0.001] * len(moved), rel=1e-3)
    assert set(trace.signal("train", "body", "frozen.gradient").values) == {0.0}
    assert trace.signal("train", "body", "frozen.decay").values[0] == 0.01
    drift = trace.signal("train", "body", "frozen.drift").values
    assert drift == sorted(drift) and drift[-1] > 0.005


def test_without_a_gradient_nothing_moves_but_the_norms() -> None:
    for how in ("asked", "left out"):
        trace = observe(lambda how=how: two_stages(how))
        assert set(trace.signal("train", "body", "frozen.drift").values) == {0.0}
        shift = trace.signal("train", "body", "frozen.shift").values
        assert shift[-1] > 1 and shift == sorted(shift)
        (place,) = trace.places("frozen.training")
        assert line_of(place) == "model.train()"


def test_nothing_is_told_where_all_is_trained() -> None:
    trace = observe(lambda: two_stages("not"))
    assert not [name for _, _, name in trace.signals if name.startswith("frozen.")]


def test_optimizers_that_take_turns_leave_nothing_frozen() -> None:
    def program() -> None:
        model = Net()
        parts = [torch.optim.SGD(part.parameters(), lr=0.1) for part in (model.body, model.head)]
        for number in range(18):
            model.zero_grad()
            model(INPUTS).square().mean().backward()
            parts[number % 3 == 0].step()

    trace = observe(program)
    assert not [name for _, _, name in trace.signals if name.startswith("frozen.")]


@pytest.mark.parametrize("how", ["attribute", "misspelt", "asked", "left out"])
def test_training_stays_bit_identical(how: str) -> None:
    bare = two_stages(how, clear=False).state_dict()
    probed: list[nn.Module] = []
    observe(lambda: probed.append(two_stages(how, clear=False)))
    assert all(torch.equal(bare[key], value) for key, value in probed[0].state_dict().items())


def test_an_option_of_a_class_is_no_attribute_that_freezes() -> None:
    class Optional(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 1)
            self.trainable = False
            self.requires_grad = False

    def program() -> None:
        model = nn.Sequential(Optional())
        for parameter in nn.Linear(4, 1).parameters():
            parameter.requires_grad = False
        steps(model, torch.optim.SGD(model.parameters(), lr=0.1), 0.0, True)

    assert not observe(program).places("frozen.misplaced")
