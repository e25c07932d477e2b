"""What is told of schedules: the rate that they mean to reach, and who moves them how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from probes import Objective, probes
from probes.trace import Trace
from tests.probes.tap.observing import line_of, tapped

INPUTS = torch.arange(24.0).reshape(6, 4) / 24
EPOCHS, BATCHES = 6, 10
ACC = Objective(name="val_acc", mode="max")

Make = Callable[[torch.optim.Optimizer], Any]


def observe(make: Make, each: str = "batch", groups: tuple[float, ...] = (0.1,)) -> Trace:
    """A run that is as bad at its end as at its beginning."""
    with tapped() as observed:
        torch.manual_seed(0)
        layers = [nn.Linear(4, 1) for _ in groups]
        given = [{"params": n.parameters(), "lr": r} for n, r in zip(layers, groups, strict=True)]
        optimizer = torch.optim.SGD(given)
        schedule = make(optimizer)
        for epoch in range(EPOCHS):
            for _ in range(BATCHES):
                sum(layer(INPUTS).square().mean() for layer in layers).backward()
                optimizer.step()
                optimizer.zero_grad()
                if each == "batch":
                    move(schedule)
            if each == "epoch":
                move(schedule)
            step = (epoch + 1) * BATCHES
            observed.events.append(
                {"event": "metric", "step": step, "name": "val_acc", "value": 0.2}
            )
    return observed.trace


def move(schedule: Any) -> None:
    plateau = isinstance(schedule, lr_scheduler.ReduceLROnPlateau)
    schedule.step(*[1.0] * plateau)


def warm_up(steps: int) -> Make:
    return lambda o: lr_scheduler.LambdaLR(o, lambda step: min(1.0, (step + 1) / steps))


def then_cosine(steps: int) -> Make:
    def make(optimizer: torch.optim.Optimizer) -> Any:
        first = lr_scheduler.LinearLR(optimizer, 1e-3, total_iters=steps)
        second = lr_scheduler.CosineAnnealingLR(optimizer, 40)
        return lr_scheduler.SequentialLR(optimizer, [first, second], [steps])

    return make


def chained(optimizer: torch.optim.Optimizer) -> Any:
    parts = [lr_scheduler.LinearLR(optimizer, 1e-3, total_iters=900) for _ in range(2)]
    return lr_scheduler.ChainedScheduler(parts)


def groups(*factors: Callable[[int], float]) -> Make:
    return lambda o: lr_scheduler.LambdaLR(o, list(factors))


SICK = {
    "moved with the epochs": (warm_up(100), "epoch"),
    "far longer than the run": (warm_up(4000), "batch"),
    "never moved": (warm_up(40), "never"),
    "a sequence": (then_cosine(4000), "batch"),
    "a chain": (chained, "batch"),
    "one long cycle": (lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=6000), "batch"),
    "a slow cycle": (lambda o: lr_scheduler.CyclicLR(o, 1e-3, 0.1, step_size_up=4000), "batch"),
    "a cycle of epochs": (lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=200), "epoch"),
}
HEALTHY = {
    "a warm-up": (warm_up(20), "batch"),
    "a warm-up as long as the run": (warm_up(60), "batch"),
    "a warm-up of epochs": (warm_up(3), "epoch"),
    "a mild warm-up": (lambda o: lr_scheduler.LinearLR(o, total_iters=9000), "batch"),
    "a sequence": (then_cosine(20), "batch"),
    "a cosine": (lambda o: lr_scheduler.CosineAnnealingLR(o, 60), "batch"),
    "restarts": (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 15), "batch"),
    "one cycle": (lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=61), "batch"),
    "cycles": (lambda o: lr_scheduler.CyclicLR(o, 1e-3, 0.1, step_size_up=10), "batch"),
    "a plateau": (lr_scheduler.ReduceLROnPlateau, "epoch"),
    "low all the time": (lambda o: lr_scheduler.ConstantLR(o, 0.01, total_iters=900), "batch"),
    "a range test": (lambda o: lr_scheduler.ExponentialLR(o, 1.1), "batch"),
    "steps that are never due": (lambda o: lr_scheduler.StepLR(o, 30), "never"),
}


def found(trace: Trace) -> list[tuple[str, bool]]:
    return [(s.where, s.alarming) for s in probes["P807"].read(trace, ACC)]


@pytest.mark.parametrize("name", SICK)
def test_a_rate_that_never_comes_near_its_aim(name: str) -> None:
    make, each = SICK[name]
    trace = observe(make, each)
    assert found(trace) == [("optimizer", True)]
    aims = trace.signal("train", "optimizer", "rate.aim").values
    assert aims == pytest.approx([0.1] * len(aims))


@pytest.mark.parametrize("name", HEALTHY)
def test_a_schedule_that_does_what_it_should(name: str) -> None:
    make, each = HEALTHY[name]
    assert found(observe(make, each)) == []


def test_the_highest_group_counts() -> None:
    slow = groups(lambda step: (step + 1) / 4000, lambda _: 1.0)
    assert found(observe(slow, groups=(0.1, 0.001))) == [("optimizer", True)]
    assert found(observe(slow, groups=(0.001, 0.1))) == []


def test_a_group_that_is_meant_to_be_slow() -> None:
    tiny = groups(lambda _: 0.001, lambda step: min(1.0, (step + 1) / 20))
    assert found(observe(tiny, groups=(0.1, 0.001))) == []


def test_a_rate_without_a_schedule_has_no_aim() -> None:
    assert not observe(lambda _: None, "never").places("rate.aim")
    assert not observe(lr_scheduler.ReduceLROnPlateau, "epoch").places("rate.aim")


@pytest.mark.parametrize(("each", "moves"), [("batch", 58), ("epoch", 5)])
@pytest.mark.parametrize("make", [warm_up(20), then_cosine(400), chained])
def test_moves_are_counted_from_the_line_that_makes_them(make: Make, each: str, moves: int) -> None:
    trace = observe(make, each)
    (place,) = trace.places("schedule.position")
    assert line_of(place) == "schedule.step(*[1.0] * plateau)"
    assert max(trace.signal("train", place, "schedule.position").values) == moves


def noam(warm: int, scale: float = 0.01) -> Make:
    def rate(step: int, factor: float) -> float:
        step = max(1, step)
        return factor * min(step**-0.5, step * warm**-1.5)

    return lambda o: lr_scheduler.LambdaLR(o, lambda step: rate(step, factor=scale))


@pytest.mark.parametrize(("warm", "count"), [(20, 0), (100, 0), (4000, 1)])
def test_a_rate_of_one_that_a_function_makes_small(warm: int, count: int) -> None:
    trace = observe(noam(warm), groups=(1.0,))
    assert len(found(trace)) == count
    aim = max(trace.signal("train", "optimizer", "rate.aim").values)
    assert aim == pytest.approx(0.01 * warm**-0.5, rel=0.2)


def test_a_peak_of_about_one_is_one() -> None:
    def make(optimizer: torch.optim.Optimizer) -> Any:
        return lr_scheduler.LambdaLR(optimizer, lambda step: step / 4001 if step < 4002 else 0.0)

    assert max(observe(make).signal("train", "optimizer", "rate.aim").values) == 0.1


def test_a_function_that_is_more_than_arithmetic_is_not_asked() -> None:
    asked: list[int] = []

    def rate(step: int) -> float:
        asked.append(step)
        return 1e-5 * (step + 1)

    trace = observe(lambda o: lr_scheduler.LambdaLR(o, rate))
    assert max(trace.signal("train", "optimizer", "rate.aim").values) == 0.1
    assert asked == list(range(61))


class Wrapped(torch.optim.Optimizer):
    """As accelerate wraps an optimizer."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.optimizer.param_groups

    def step(self, closure: Any = None) -> None:
        self.optimizer.step(closure)


@pytest.mark.filterwarnings("ignore:Detected call")
def test_a_schedule_of_a_wrapped_optimizer() -> None:
    assert found(observe(lambda o: warm_up(4000)(Wrapped(o)))) == [("optimizer", True)]


@pytest.mark.filterwarnings("ignore:Detected call")
def test_a_schedule_that_two_lines_move_is_told_at_the_first() -> None:
    def make(optimizer: torch.optim.Optimizer) -> Any:
        schedule = warm_up(4000)(optimizer)
        schedule.step()  # As if it went on after a break.
        return schedule

    (place,) = observe(make).places("schedule.position")
    assert line_of(place).endswith("# As if it went on after a break.")
