"""R313: dropout throws less away."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from remedies import Action, remedies


class Net(nn.Module):
    def __init__(self, shares: tuple[float, float]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Dropout(shares[0]))
        self.share = shares[1]
        self.head = nn.Linear(8, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.head(functional.dropout(self.body(rows), self.share, self.training))


def train(*shares: float) -> Net:
    torch.manual_seed(0)
    model = Net(shares)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        optimizer.zero_grad()
        model(torch.ones(3, 4)).square().mean().backward()
        optimizer.step()
    return model


def action(target: str, share: float) -> tuple[Action, ...]:
    found = remedies["R313"].default(target)
    return (found.model_copy(update={"params": {"share": share}}),)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_it_is_the_same_as_in_the_script(treat) -> None:
    _, trace = treat(lambda: train(0.9, 0.8), ())
    (target,) = remedies["R313"].targets([], trace)
    model, trace = treat(lambda: train(0.9, 0.8), action(target, 0.3))
    assert same(model, train(0.3, 0.3)) and not same(model, train(0.9, 0.8))
    assert {event["target"] for event in trace.applied} == set(target.split(","))


def test_what_is_low_already_and_what_is_not_named_stays(treat) -> None:
    model, trace = treat(lambda: train(0.9, 0.2), action("body.1", 0.3))
    assert same(model, train(0.3, 0.2))
    assert [event["target"] for event in trace.applied] == ["body.1"]
    assert not treat(lambda: train(0.2, 0.2), action("body.1", 0.3))[1].applied


@pytest.mark.parametrize(("target", "share"), [("", 0.1), ("body.1", 1.0)])
def test_parameters_that_make_no_sense(treat, target, share) -> None:
    with pytest.raises(ValueError):
        treat(lambda: train(0.5, 0.5), action(target, share))
