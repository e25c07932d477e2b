from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from probes.tap.rounding import lost_share, rounds_to_nearest
from tests.probes.tap.observing import observe

Make = Callable[[nn.Module], torch.optim.Optimizer]


@pytest.fixture(autouse=True)
def usual_type() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)


def train(optimizer: Make, cast: Callable[[nn.Module], object] = nn.Module.bfloat16) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(4, 1, bias=False)
    nn.init.ones_(model.weight)
    cast(model)
    steps = optimizer(model)
    for _ in range(4):
        steps.zero_grad()
        model(torch.ones(2, 4, dtype=model.weight.dtype)).mean().backward()
        steps.step()
    return model


def sgd(rate: float) -> Make:
    return lambda model: torch.optim.SGD(model.parameters(), lr=rate)


def lost(program: Callable[[], object]) -> list[float]:
    return observe(program).signal("train", "weight", "update.lost").values


def test_a_share_counts_elements_by_their_gradient() -> None:
    change = torch.tensor([0.0, -0.5, 0.0, 0.0])
    gradient = torch.tensor([1.0, -6.0, 3.0, 0.0])
    assert float(lost_share(change, gradient)) == pytest.approx(0.4)


def test_a_tensor_without_gradient_has_no_share() -> None:
    assert lost_share(torch.zeros(2), torch.zeros(2)).isnan()


@pytest.mark.parametrize("cast", [nn.Module.bfloat16, nn.Module.half])
def test_steps_below_half_the_spacing_are_lost(cast) -> None:
    # Below 1, the numbers of bfloat16 are 1/256 apart; those of float16, 1/2048.
    assert lost(lambda: train(sgd(1e-4), cast)) == [1.0] * 4
    assert lost(lambda: train(sgd(1e-2), cast)) == [0.0] * 4


def test_weights_in_float32_lose_nothing_that_is_told() -> None:
    assert not lost(lambda: train(sgd(1e-12), nn.Module.float))


def test_autocast_is_no_half_precision_of_the_weights() -> None:
    def program() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            train(sgd(1e-4), nn.Module.float)

    trace = observe(program)
    assert not trace.places("update.lost") and not trace.places("cast.half")


def test_rows_that_a_batch_does_not_ask_for_are_not_lost() -> None:
    def program() -> None:
        table = nn.Embedding(50, 2).bfloat16()
        nn.init.ones_(table.weight)
        optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            table(torch.tensor([3])).sum().backward()
            optimizer.step()

    assert lost(program) == [0.0] * 3


class Compensated(torch.optim.SGD):
    """Keeps what was rounded away for the next step."""

    def step(self, closure: object = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                wanted = state.get("rest", 0.0) - group["lr"] * parameter.grad.float()
                exact = parameter.detach().float() + wanted
                parameter.data.copy_(exact)
                state["rest"] = exact - parameter.detach().float()


def test_optimizers_that_may_compensate_are_not_judged() -> None:
    assert not lost(lambda: train(lambda model: Compensated(model.parameters(), lr=1e-4)))


def test_only_the_steps_of_torch_are_known_to_round() -> None:
    class Named(torch.optim.AdamW):
        pass

    weight = [nn.Parameter(torch.ones(1))]
    kinds = [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, Named]
    assert all(rounds_to_nearest(kind(weight, lr=0.1)) for kind in kinds)
    assert not rounds_to_nearest(Compensated(weight, lr=0.1))


def text(place: str) -> str:
    return Path(__file__).read_text().splitlines()[int(place.split(":")[1]) - 1].strip()


def test_the_line_that_casts_a_model() -> None:
    def program() -> None:
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        model.to(torch.bfloat16)
        model.to("cpu")
        model[0].to("cpu")
        nn.Linear(2, 2).to(torch.float64)
        train(sgd(0.1), nn.Module.float)

    assert [text(place) for place in observe(program).places("cast.half")] == [
        "model.to(torch.bfloat16)"
    ]


def test_the_line_that_casts_all_tensors_to_come() -> None:
    def program() -> None:
        torch.set_default_dtype(torch.float16)
        torch.set_default_dtype(torch.float32)
        train(sgd(0.1), nn.Module.float)

    assert [text(place) for place in observe(program).places("cast.half")] == [
        "torch.set_default_dtype(torch.float16)"
    ]
