"""R807: what is frozen stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from remedies import Action, remedies

INPUTS = torch.arange(24.0).reshape(6, 4) / 24


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU())
        self.head = nn.Linear(5, 1)
        self.kept: dict[str, torch.Tensor] = {}

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(inputs))


def program(how: str) -> Net:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
    for number in range(12):
        if number == 6:
            if how == "attribute":
                model.body.requires_grad = False
            elif how == "asked":
                model.body.requires_grad_(False)
            else:
                optimizer = torch.optim.Adam(model.head.parameters(), lr=0.1)
            model.kept = {key: value.clone() for key, value in model.body.state_dict().items()}
        optimizer.zero_grad(set_to_none=False)
        model(INPUTS + number).square().mean().backward()
        optimizer.step()
    return model


def changed(model: Net) -> set[str]:
    now = model.body.state_dict()
    return {key for key, value in model.kept.items() if not torch.equal(value, now[key])}


def action(target: str = "body") -> tuple[Action, ...]:
    return (remedies["R807"].default(target),)


@pytest.mark.parametrize("how", ["attribute", "asked", "left out"])
def test_from_where_it_is_frozen_it_stands_still(treat, how) -> None:
    assert "1.running_mean" in changed(program(how))
    assert ("0.weight" in changed(program(how))) is (how != "left out")
    model, trace = treat(lambda: program(how), action())
    assert not changed(model)
    assert [event["target"] for event in trace.applied] == ["body"]
    plain, _ = treat(lambda: program(how), ())
    assert all(torch.equal(value, plain.kept[key]) for key, value in model.kept.items())
    assert not torch.equal(model.head.weight, torch.zeros_like(model.head.weight))


def test_what_is_not_frozen_is_left_alone(treat) -> None:
    model, trace = treat(lambda: program("asked"), action("head"))
    plain = program("asked")
    assert not trace.applied
    assert torch.equal(model.head.weight, plain.head.weight)


def test_the_parts_that_symptoms_name_are_its_target(treat) -> None:
    _, trace = treat(lambda: program("asked"), ())
    symptom = Symptom(code="P805", name="x", severity=1, where="body", message="")
    assert list(remedies["R807"].targets([symptom], trace)) == ["body"]


def test_it_needs_a_target(treat) -> None:
    with pytest.raises(ValueError):
        treat(lambda: program("asked"), action(""))


def test_a_single_parameter_is_held_still(treat) -> None:
    def scaled() -> nn.Linear:
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
        model.weight.requires_grad = False
        model.weight.grad = torch.zeros_like(model.weight)
        for _ in range(4):
            model(INPUTS).square().mean().backward()
            optimizer.step()
        return model

    first = torch.manual_seed(0) and nn.Linear(4, 1).weight
    _, trace = treat(scaled, ())
    assert trace.places("frozen.stepped") == ["weight"]
    assert not torch.equal(scaled().weight, first)
    model, _ = treat(scaled, action("weight"))
    assert torch.equal(model.weight, first)
