from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from remedies import Action, remedies
from remedies.surgery.living_model import LivingModel
from remedies.surgery.masters import MasterWeights

ACTION: Action = remedies["R314"].default("")
Make = Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]
OPTIMIZERS: list[Make] = [
    lambda own: torch.optim.SGD(own, lr=1e-3, momentum=0.9, weight_decay=0.1),
    lambda own: torch.optim.AdamW(own, lr=1e-4),
    lambda own: torch.optim.AdamW(own, lr=1e-4, fused=True),
    lambda own: torch.optim.RMSprop(own, lr=1e-4, foreach=True),
]


def trained(make: Make, dtype: torch.dtype, after: Callable[[Tensor], object] = id) -> nn.Module:
    """Its gradients are the same in any precision: they do not depend on the weights."""
    torch.manual_seed(0)
    model = nn.Linear(8, 4).bfloat16().to(dtype)
    optimizer = make(model.parameters())
    for step in range(12):
        optimizer.zero_grad(set_to_none=step % 2 == 0)
        inputs = torch.randint(-4, 5, (1, 8)).to(dtype)
        (model(inputs) * torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=dtype)).sum().backward()
        optimizer.step()
        with torch.no_grad():
            after(model.weight)
    return model


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_weights_are_those_of_float32_rounded(treat, make) -> None:
    model, trace = treat(lambda: trained(make, torch.bfloat16), (ACTION,))
    exact = trained(make, torch.float32)
    assert model.weight.dtype == model.weight.grad.dtype == torch.bfloat16
    assert torch.equal(model.weight, exact.weight.bfloat16())
    assert not torch.equal(model.weight, trained(make, torch.bfloat16).weight)
    assert [event["detail"] for event in trace.applied] == ["2 parameters kept in float32"]


def test_the_symptom_is_gone(treat) -> None:
    _, trace = treat(lambda: trained(OPTIMIZERS[1], torch.bfloat16), (ACTION,))
    assert max(trace.signal("train", "weight", "update.lost").values) < 0.05
    _, trace = treat(lambda: trained(OPTIMIZERS[1], torch.bfloat16), ())
    assert min(trace.signal("train", "weight", "update.lost").values) > 0.5


def test_weights_stay_in_their_own_memory(treat) -> None:
    places: set[int] = set()
    treat(
        lambda: trained(OPTIMIZERS[0], torch.bfloat16, lambda w: places.add(w.data_ptr())),
        (ACTION,),
    )
    assert len(places) == 1


def test_what_the_script_writes_into_a_weight_stays(treat) -> None:
    def program(dtype: torch.dtype) -> nn.Module:
        writes = iter([0.25, 0.5])

        def write(weight: Tensor) -> None:
            weight[0] = next(writes, weight[0])

        return trained(OPTIMIZERS[0], dtype, write)

    model, _ = treat(lambda: program(torch.bfloat16), (ACTION,))
    assert torch.equal(model.weight, program(torch.float32).weight.bfloat16())


def test_weights_in_float32_are_left_alone(treat) -> None:
    model, trace = treat(lambda: trained(OPTIMIZERS[0], torch.float32), (ACTION,))
    assert torch.equal(model.weight, trained(OPTIMIZERS[0], torch.float32).weight)
    assert not trace.applied


def test_a_step_that_computes_its_own_loss_is_left_alone(treat) -> None:
    def program() -> nn.Module:
        model = nn.Linear(2, 1).bfloat16()
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = model(torch.ones(1, 2, dtype=torch.bfloat16)).square().sum()
            loss.backward()
            return loss

        closure()
        optimizer.step(closure)  # type: ignore[arg-type]
        return model

    _, trace = treat(program, (ACTION,))
    assert not trace.applied


def test_a_state_in_half_precision_goes_on_in_float32() -> None:
    weight = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    optimizer = torch.optim.Adam([weight], lr=1e-4)
    masters = MasterWeights(lambda count: None)
    for treated in (False, True):
        weight.grad = torch.ones_like(weight)
        if treated:
            masters.before_step(optimizer)
        optimizer.step()
    masters.after_step(optimizer)
    assert optimizer.state[weight]["exp_avg"].dtype == torch.float32


def test_a_model_at_hand_gets_masters_for_good() -> None:
    model = nn.Linear(2, 1, bias=False).bfloat16()
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    living = LivingModel(model, (optimizer,))
    living.take((ACTION,))
    living.commit()
    for _ in range(10):
        optimizer.zero_grad()
        model(torch.ones(1, 2, dtype=torch.bfloat16)).sum().backward()
        optimizer.step()
    assert torch.equal(model.weight, torch.full((1, 2), 0.99).bfloat16())
