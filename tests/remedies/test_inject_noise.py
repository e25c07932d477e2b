from __future__ import annotations

import torch
from torch import nn

from remedies import remedies


def program() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 6), nn.ReLU()), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(8, 4)).sum().backward()
    optimizer.step()
    return model


def test_training_is_noisy_and_evaluation_is_not(treat) -> None:
    model, trace = treat(program, (remedies["inject-noise"].default("0"),))
    inputs = torch.randn(5, 4)
    assert not torch.equal(model.train()(inputs), model(inputs))
    assert torch.equal(model.eval()(inputs), model(inputs))
    assert [event["target"] for event in trace.applied] == ["0"]


def test_without_symptoms_the_parts_of_the_model_are_its_targets(treat) -> None:
    _, trace = treat(program, ())
    assert list(remedies["inject-noise"].targets([], trace)) == ["0", "1"]
