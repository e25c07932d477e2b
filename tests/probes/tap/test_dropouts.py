"""Dropouts at work in training are told of with their share."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.probes.tap.observing import tapped


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.7), nn.Dropout(0.0))
        self.head = nn.Linear(4, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        hidden = functional.dropout(self.body(rows), 0.2, self.training)
        return self.head(functional.dropout(hidden, p=0.4, training=False))


def program() -> Net:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(8):
        model.train()
        optimizer.zero_grad()
        model(torch.ones(3, 4)).mean().backward()
        optimizer.step()
        model.eval()
        model(torch.ones(3, 4))
    return model


def test_their_shares_and_places() -> None:
    bare, state = program().state_dict(), torch.get_rng_state()
    with tapped() as observed:
        probed = program().state_dict()
    trace = observed.trace
    first, second = trace.places("dropout.share")
    assert first == "body.1"
    assert second.startswith("Net@test_dropouts.py:")
    assert set(trace.signal("train", first, "dropout.share").values) == {0.7}
    assert set(trace.signal("train", second, "dropout.share").values) == {0.2}
    assert all(torch.equal(bare[key], probed[key]) for key in bare)
    assert torch.equal(state, torch.get_rng_state())
