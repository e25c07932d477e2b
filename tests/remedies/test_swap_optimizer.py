from __future__ import annotations

import pytest
import torch
from torch import nn

from remedies import Action, remedies


def act(to: str) -> tuple[Action, ...]:
    return (remedies["R307"].default("").model_copy(update={"params": {"to": to}}),)


def program(decay: float = 1.0, closure: bool = False) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 1e-6}]
    optimizer = torch.optim.SGD(groups, lr=1e-9)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = model(torch.ones(2, 3)).square().sum()
        value.backward()
        return value

    for _ in range(3):
        if closure:
            optimizer.step(loss)
        else:
            loss()
            optimizer.step()
        schedule.step()
    return model


def expected(to: str, decay: float = 1.0) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer: torch.optim.Optimizer
    if to == "adamw":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        schedule.step()
    return model


@pytest.mark.parametrize("to", ["adamw", "sgd"])
@pytest.mark.parametrize("decay", [1.0, 0.5], ids=["constant", "schedule"])
@pytest.mark.parametrize("closure", [False, True], ids=["plain", "closure"])
def test_another_optimizer_makes_the_steps(treat, to, decay, closure) -> None:
    model, trace = treat(lambda: program(decay, closure), act(to))
    for name, value in expected(to, decay).state_dict().items():
        assert torch.allclose(model.state_dict()[name], value, atol=1e-6)
    assert trace.steps == 3
    assert [event["detail"] for event in trace.applied] == [f"now {to}"]


def test_lbfgs_is_left_alone(treat) -> None:
    def quasi_newton() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = (model(torch.ones(2, 3)) - 1).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        return model

    model, trace = treat(quasi_newton, act("adamw"))
    assert torch.equal(model.weight, quasi_newton().weight)
    assert not trace.applied
