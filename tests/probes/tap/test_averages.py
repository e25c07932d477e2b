"""Copies of a model, how they follow it, and where they are evaluated."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from probes.tap import Tap
from probes.tap.cadence import is_probed
from probes.trace import Trace
from tests.probes.tap.observing import tapped
from tests.probes.tap.test_synchronisation import Reads

DECAY = 0.99
INPUTS = torch.linspace(-1, 1, 32).view(8, 4)
Update = Callable[[nn.Module, nn.Module], object]


class Net(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 1)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


def observe(program: Callable[[Tap], object]) -> Trace:
    with tapped() as observed:
        program(observed.tap)
    return observed.trace


def train(
    after: Callable[[int, nn.Module], object],
    steps: int = 40,
    model: nn.Module | None = None,
    before: Callable[[nn.Module], object] = id,
) -> nn.Module:
    torch.manual_seed(0)
    model = model or Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(steps):
        before(model)
        optimizer.zero_grad()
        (model(INPUTS) - INPUTS.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
        after(step, model)
    return model


def followed(
    update: Update | None = None,
    make: Callable[[nn.Module], nn.Module] = copy.deepcopy,
    every: int = 10,
    steps: int = 40,
) -> Trace:
    """A run with a copy that is updated at each step and evaluated now and then."""

    def program(tap: Tap) -> None:
        copies: list[nn.Module] = []

        def after(step: int, model: nn.Module) -> None:
            (update or lerp)(copies[0], model)
            if (step + 1) % every == 0:
                with torch.no_grad():
                    copies[0](INPUTS)

        model = Net()
        copies.append(make(model).eval())
        train(after, steps, model)

    return observe(program)


@torch.no_grad()
def lerp(average: nn.Module, model: nn.Module) -> None:
    for own, weights in zip(average.parameters(), model.parameters(), strict=True):
        own.lerp_(weights, 1 - DECAY)


@torch.no_grad()
def product(average: nn.Module, model: nn.Module) -> None:
    for own, weights in zip(average.parameters(), model.parameters(), strict=True):
        own.mul_(DECAY).add_(weights, alpha=1 - DECAY)


@torch.no_grad()
def difference(average: nn.Module, model: nn.Module) -> None:
    for own, weights in zip(average.parameters(), model.parameters(), strict=True):
        own += (1 - DECAY) * (weights - own)


def data(average: nn.Module, model: nn.Module) -> None:
    for own, weights in zip(average.parameters(), model.parameters(), strict=True):
        own.data = DECAY * own.data + (1 - DECAY) * weights.data


@torch.no_grad()
def all_at_once(average: nn.Module, model: nn.Module) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - DECAY)


def states(average: nn.Module, model: nn.Module) -> None:
    new = model.state_dict()
    mixed = {k: v.lerp(new[k], 1 - DECAY) if v.is_floating_point() else v
             for k, v in average.state_dict().items()}  # fmt: skip
    average.load_state_dict(mixed)


def shares(trace: Trace) -> list[float]:
    return trace.signal("train", "Net", "average.share").values


def lags(trace: Trace) -> list[tuple[int, float]]:
    return [
        point
        for place in trace.places("average.lag", "eval")
        for point in trace.signal("eval", place, "average.lag")
    ]


@pytest.mark.parametrize("update", [lerp, product, difference, data, all_at_once, states])
def test_an_average_is_told_whatever_way_it_is_written(update: Update) -> None:
    trace = followed(update)
    assert shares(trace) == pytest.approx([1 - DECAY] * len(shares(trace)), rel=0.01)
    assert len(shares(trace)) > 30
    (line,) = {place.rpartition("@")[2] for place in trace.places("average.written")}
    code = update.__wrapped__.__code__ if hasattr(update, "__wrapped__") else update.__code__
    name, _, number = line.rpartition(":")
    assert name == "test_averages.py"
    assert code.co_firstlineno < int(number) < code.co_firstlineno + 6
    assert [step for step, _ in lags(trace)] == [10, 20, 30, 40]
    assert all(0.5 < lag < 1 for _, lag in lags(trace))


def test_torchs_averaged_model() -> None:
    def make(model: nn.Module) -> nn.Module:
        average = get_ema_multi_avg_fn(DECAY)
        return AveragedModel(model, multi_avg_fn=average, use_buffers=True)

    trace = followed(lambda average, model: average.update_parameters(model), make)
    assert shares(trace)[1:] == pytest.approx([1 - DECAY] * (len(shares(trace)) - 1), rel=0.01)
    assert shares(trace)[0] == pytest.approx(1)
    assert trace.places("average.written")
    assert [step for step, _ in lags(trace)] == [10, 20, 30, 40]


def test_the_lag_is_the_share_of_the_way_that_is_left() -> None:
    still = followed(lambda average, model: None)
    assert [lag for _, lag in lags(still)] == pytest.approx([1.0] * 4)
    assert shares(still) == pytest.approx([0.0] * len(shares(still)))
    assert not still.places("average.written")
    there = followed(lambda average, model: average.load_state_dict(model.state_dict()))
    assert [lag for _, lag in lags(there)] == pytest.approx([0.0] * 4)


def test_evaluations_between_probed_steps_are_seen() -> None:
    trace = followed(every=45, steps=90)
    assert not is_probed(45) and not is_probed(90)
    assert [step for step, _ in lags(trace)] == [45, 90]


def test_a_copy_in_evaluation_mode_with_gradients() -> None:
    def program(tap: Tap) -> None:
        model = Net()
        average = copy.deepcopy(model)

        def after(step: int, model: nn.Module) -> None:
            lerp(average, model)
            average.train(step % 10 == 4)
            if step % 10 in (4, 9):
                average(INPUTS)
                model.eval()(INPUTS)
                model.train()

        train(after, 40, model)

    trace = observe(program)
    assert [step for step, _ in lags(trace)] == [10, 20, 30, 40]
    assert not trace.places("average.beside", "eval")


def test_a_copy_made_by_the_constructor() -> None:
    trace = followed(make=lambda model: Net())
    assert len(shares(trace)) > 30
    assert lags(trace)


def test_the_trained_model_beside_it() -> None:
    def program(tap: Tap) -> None:
        model = Net()
        average = copy.deepcopy(model)

        def after(step: int, model: nn.Module) -> None:
            lerp(average, model)
            if step % 10 == 9:
                with torch.no_grad():
                    model(INPUTS)
                    average(INPUTS)

        train(after, 40, model)

    trace = observe(program)
    (place,) = trace.places("average.beside", "eval")
    assert trace.signal("eval", place, "average.beside").steps == [10, 20, 30, 40]


@pytest.mark.parametrize(
    "make",
    [
        lambda model: nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 1)),
        lambda model: nn.Linear(4, 1),
        lambda model: Net(7),
        lambda model: model,
        lambda model: model.layers,
    ],
    ids=["another class", "a layer", "another width", "itself", "a part of it"],
)
def test_what_is_no_copy(make: Callable[[Any], nn.Module]) -> None:
    def program(tap: Tap) -> None:
        model = Net()
        other = make(model)
        train(lambda step, model: other, 3, model)
        assert not tap.averages.twins.found

    observe(program)


def test_a_copy_may_share_what_is_frozen() -> None:
    def make(model: nn.Module) -> nn.Module:
        average = copy.deepcopy(model)
        average.layers[0] = model.layers[0]
        return average

    def program(tap: Tap) -> None:
        model = Net()
        average = make(model)
        model.layers[0].requires_grad_(False)
        optimizer = torch.optim.SGD(model.layers[1:].parameters(), lr=0.05)
        for _ in range(3):
            model(INPUTS).square().mean().backward()
            optimizer.step()
        (twin,) = tap.averages.twins.found
        assert twin.copy() is average

    observe(program)


def test_a_copy_is_of_the_same_class() -> None:
    def program(tap: Tap) -> None:
        model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.LayerNorm(6), nn.Linear(6, 1))
        alike = nn.LayerNorm(6)
        train(lambda step, model: None, 3, model)
        (twin,) = tap.averages.twins.found
        assert twin.copy() is alike and twin.original() is model[2]

    observe(program)


def test_a_second_model_that_is_trained_is_no_copy() -> None:
    def program(tap: Tap) -> None:
        other = Net()
        optimizer = torch.optim.SGD(other.parameters(), lr=0.05)

        def after(step: int, model: nn.Module) -> None:
            with torch.no_grad():
                other(INPUTS)
            optimizer.zero_grad()
            other(INPUTS).square().mean().backward()
            optimizer.step()

        train(after)

    trace = observe(program)
    assert not shares(trace) and not lags(trace)


def test_two_copies_have_names_of_their_own() -> None:
    def program(tap: Tap) -> None:
        model = Net()
        first, second = copy.deepcopy(model), copy.deepcopy(model)

        def after(step: int, model: nn.Module) -> None:
            lerp(first, model)
            if step % 10 == 9:
                with torch.no_grad():
                    first(INPUTS), second(INPUTS)

        train(after, 40, model)

    trace = observe(program)
    assert {*trace.places("average.share")} == {"Net", "Net/2"}


def test_an_evaluation_in_batches_is_looked_at_once() -> None:
    def program(tap: Tap) -> None:
        model = Net()
        average = copy.deepcopy(model)

        @torch.no_grad()
        def after(step: int, model: nn.Module) -> None:
            for rows in INPUTS.split(2) if step % 10 == 9 else ():
                average(rows)

        train(after, 40, model)

    assert [step for step, _ in lags(observe(program))] == [10, 20, 30, 40]


def test_of_many_copies_some_are_followed() -> None:
    def program(tap: Tap) -> None:
        model = Net()
        copies = [copy.deepcopy(model) for _ in range(12)]
        train(lambda step, model: copies, 3, model)
        assert len(tap.averages.twins.found) == 8

    observe(program)


def test_a_copy_that_is_gone_is_forgotten() -> None:
    def program(tap: Tap) -> None:
        model = Net()
        copies = [copy.deepcopy(model)]
        train(lambda step, model: copies.clear() if step == 5 else None, 40, model)
        assert not tap.averages.twins.found

    assert 0 < len(shares(observe(program))) < 10


def test_between_probed_steps_nothing_is_read() -> None:
    counted: dict[str, Reads] = {}

    def program(tap: Tap) -> None:
        model = Net()
        average = copy.deepcopy(model)
        with Reads(tap) as counted["reads"]:
            train(lambda step, model: data(average, model), 60, model)

    assert shares(observe(program))
    reads = counted["reads"]
    assert {reads.at[step] for step in range(60) if not is_probed(step)} == {1}


def test_between_probed_steps_nobody_looks_for_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def program(tap: Tap) -> None:
        monkeypatch.setattr(tap.averages.twins, "refresh", lambda held: looked.append(tap.step))
        train(lambda step, model: None, 60)

    observe(program)
    assert looked == [step for step in range(60) if is_probed(step)]


def test_no_more_elements_are_kept_than_a_sample() -> None:
    def program(tap: Tap) -> None:
        model = nn.Sequential(nn.Linear(4, 5000), nn.Linear(5000, 1))
        average = copy.deepcopy(model)
        train(lambda step, model: lerp(average, model), 5, model)
        (twin,) = tap.averages.twins.found
        tap.averages.switch_on()
        assert twin.before is not None
        assert twin.before[0].numel() == 953 + 715 + 715 + 1  # Of each, no more than 1024.

    observe(program)
