"""Values that a trained model is given for its evaluation alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from probes.trace import Trace
from tests.probes.tap.observing import tapped

INPUTS = torch.linspace(-1, 1, 32).view(8, 4)
Values = dict[str, Tensor]
Mix = Callable[[Values, Values], Values]


def averaged(decay: float) -> Mix:
    return lambda kept, now: {k: decay * kept[k] + (1 - decay) * now[k] for k in kept}


def train(
    mix: Mix,
    steps: int = 60,
    every: int = 10,
    lend: Callable[[nn.Module, Values], object] = nn.Module.load_state_dict,
    plain: bool = False,
    last: bool = True,
) -> None:
    """Evaluates a model with mixed values and gives it its own ones back."""
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    kept = copy.deepcopy(model.state_dict())
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        (model(INPUTS) - INPUTS.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
        own = copy.deepcopy(model.state_dict())
        kept = mix(kept, own)
        if step % every == 0:
            if plain:
                evaluate(model)
            lend(model, kept)
            evaluate(model)
            if last or step < steps:
                model.load_state_dict(own)


@torch.no_grad()
def evaluate(model: nn.Module) -> Tensor:
    return model(INPUTS)


def by_data(model: nn.Module, values: Values) -> None:
    for name, parameter in model.named_parameters():
        parameter.data = values[name].clone()


def observe(**options) -> Trace:
    with tapped() as observed:
        train(**options)
    return observed.trace


def swapped(trace: Trace) -> list[tuple[int, float]]:
    return [
        point
        for place in trace.places("average.swapped", "eval")
        for point in trace.signal("eval", place, "average.swapped")
    ]


def pace(trace: Trace) -> list[float]:
    return trace.signal("train", "Linear", "average.pace").values


@pytest.mark.parametrize("lend", [nn.Module.load_state_dict, by_data])
def test_an_average_that_is_lent(lend) -> None:
    trace = observe(mix=averaged(0.999), lend=lend)
    assert [step for step, _ in swapped(trace)] == [10, 20, 30, 40, 50, 60]
    assert all(0.9 < lag < 1 for _, lag in swapped(trace))
    assert pace(trace) == pytest.approx([1e-3] * 5, rel=0.1)


def test_a_close_average() -> None:
    trace = observe(mix=averaged(0.5), every=20)
    assert swapped(trace)[-1][1] < 0.1
    assert pace(trace) == [1.0, 1.0]


def test_a_model_that_is_evaluated_as_it_is() -> None:
    trace = observe(mix=lambda kept, now: now)
    assert not swapped(trace) and not pace(trace)
    assert not trace.places("average.beside", "eval")


def test_values_that_stay_where_they_are() -> None:
    trace = observe(mix=lambda kept, now: kept)
    assert [lag for _, lag in swapped(trace)] == pytest.approx([1.0] * 6)
    assert pace(trace) == [0.0] * 5


def test_a_model_that_is_evaluated_both_ways_at_one_line() -> None:
    trace = observe(mix=averaged(0.999), plain=True, lend=by_data)
    assert len(swapped(trace)) == 6
    (place,) = trace.places("average.beside", "eval")
    assert trace.signal("eval", place, "average.beside").steps == [20, 30, 40, 50, 60]


def test_what_stays_in_the_model_at_the_end_is_not_told_from_its_weights() -> None:
    trace = observe(mix=averaged(0.999), last=False)
    assert [step for step, _ in swapped(trace)] == [10, 20, 30, 40, 50]
