from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from remedies import remedies

DATA = torch.randn(48, 3, generator=torch.Generator().manual_seed(1))


def action(factor: int):
    return remedies["R303"].default("").model_copy(update={"params": {"factor": factor}})


def loss_of(model: nn.Module, rows: Tensor) -> Tensor:
    return (model(rows) - rows.sum(1, keepdim=True)).square().mean()


def program(size: int, kind: type[torch.optim.Optimizer] = torch.optim.SGD) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = kind(model.parameters(), lr=0.05)
    for rows in DATA.split(size):
        optimizer.zero_grad()
        loss_of(model, rows).backward()
        optimizer.step()
    return model


def with_closure(size: int) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for rows in DATA.split(size):

        def closure(rows: Tensor = rows) -> Tensor:
            optimizer.zero_grad()
            loss = loss_of(model, rows)
            loss.backward()
            return loss

        assert optimizer.step(closure).item() > 0
    return model


def with_scaler(size: int) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for rows in DATA.split(size):
        optimizer.zero_grad()
        scaler.scale(loss_of(model, rows)).backward()
        scaler.step(optimizer)
        scaler.update()
    return model


def close(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_it_is_as_one_batch_so_many_times_as_large(treat, factor: int, kind) -> None:
    model, trace = treat(lambda: program(3, kind), (action(factor),))
    assert close(model, program(3 * factor, kind))
    assert not close(model, program(3, kind))
    assert len(trace.applied) == 1
    assert trace.steps == 16 // factor


@pytest.mark.parametrize("loop", [with_closure, with_scaler])
def test_other_ways_to_step(treat, loop) -> None:
    model, trace = treat(lambda: loop(3), (action(2),))
    assert close(model, loop(6))
    assert len(trace.applied) == 1


def test_a_quasi_newton_optimizer_is_left_alone(treat) -> None:
    def newton() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=3)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = loss_of(model, DATA)
            loss.backward()
            return loss

        for _ in range(4):
            optimizer.step(closure)
        return model

    model, trace = treat(newton, (action(2),))
    assert close(model, newton())
    assert not trace.applied


@pytest.mark.filterwarnings("error")
def test_the_schedule_goes_on_with_the_batches(treat) -> None:
    rates: list[float] = []

    def scheduled() -> nn.Module:
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for rows in DATA[:12].split(3):
            loss_of(model, rows).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            rates.append(schedule.get_last_lr()[0])
        return model

    treat(scheduled, (action(2),))
    assert rates == [0.5, 0.25, 0.125, 0.0625]


def test_one_batch_is_nonsense(treat) -> None:
    with pytest.raises(ValueError, match="2 or more"):
        treat(lambda: program(3), (action(1),))
