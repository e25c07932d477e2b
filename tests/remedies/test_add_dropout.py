from __future__ import annotations

import torch
from torch import nn

from remedies import Action, remedies


def program(gradients: list[torch.Tensor]) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 1, bias=False))
    nn.init.ones_(model[0].weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for training in (True, False):
        model.train(training)
        optimizer.zero_grad()
        model(torch.ones(1, 4)).sum().backward()
        gradients.append(model[2].weight.grad.clone())
        optimizer.step()
    return model


def test_inputs_are_dropped_in_training_only(treat) -> None:
    _, trace = treat(lambda: program([]), ())
    (target,) = remedies["R311"].targets([], trace)
    assert target == "2"
    action = Action(remedy="R311", name="add-dropout", target=target, params={"share": 0.5})
    gradients: list[torch.Tensor] = []
    _, trace = treat(lambda: program(gradients), (action,))
    shares = [(gradient == 0).float().mean().item() for gradient in gradients]
    assert 0.2 < shares[0] < 0.8 and shares[1] == 0.0
    assert [event["target"] for event in trace.applied] == ["2"]
