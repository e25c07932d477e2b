"""All watches of data together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.probes.tap.observing import classified, observe


def test_tensors_that_cannot_be_read_are_left_alone() -> None:
    model = nn.Linear(5, 3)

    def loss(inputs: Tensor, label: Tensor) -> Tensor:
        scores = functional.linear(inputs, model.weight)
        return (
            functional.cross_entropy(scores.softmax(-1), label) + (scores - label).square().mean()
        )

    def program() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for inputs, labels in classified():
            each = torch.func.vmap(loss)(inputs[:, None], labels[:, None])
            sparse = torch.sparse.mm(inputs.to_sparse(), model.weight.T)
            spectrum = torch.fft.rfft(model(inputs)) - torch.randn(8, 2, dtype=torch.cfloat)
            (each.mean() + sparse.mean() + spectrum.abs().mean()).backward()
            optimizer.step()

    trace = observe(program)
    assert trace.steps == 4
