"""R806 where the rate never rose: a schedule that is moved with each step, or left out."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from probes.symptom import Symptom
from probes.trace import Event, Trace
from remedies import Action, remedies

INPUTS = torch.arange(24.0).reshape(6, 4) / 24
REMEDY = remedies["R806"]

Make = Callable[[torch.optim.Optimizer], Any]


def up(how: str) -> tuple[Action, ...]:
    return (REMEDY.default("").model_copy(update={"params": {"how": how}}),)


def train(make: Make, each: str = "epoch", rates: list[list[float]] | None = None) -> nn.Module:
    """Four epochs of three batches; notes the rates that the script sees."""
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    groups = [{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 0.02}]
    optimizer = torch.optim.SGD(groups)
    schedule = make(optimizer)
    for _ in range(4):
        for _ in range(3):
            optimizer.zero_grad()
            model(INPUTS).square().mean().backward()
            optimizer.step()
            if each == "batch":
                schedule.step()
            if rates is not None:
                rates.append([group["lr"] for group in optimizer.param_groups])
        if each == "epoch":
            schedule.step()
    torch.save(schedule.state_dict(), io.BytesIO())
    return model


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


def warm_up(optimizer: torch.optim.Optimizer) -> Any:
    return lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 8))


def in_turn(optimizer: torch.optim.Optimizer) -> Any:
    first = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=5)
    return lr_scheduler.SequentialLR(
        optimizer, [first, lr_scheduler.CosineAnnealingLR(optimizer, 7)], [5]
    )


def together(optimizer: torch.optim.Optimizer) -> Any:
    first = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=5)
    return lr_scheduler.ChainedScheduler([first, lr_scheduler.ExponentialLR(optimizer, 0.9)])


def one_cycle(optimizer: torch.optim.Optimizer) -> Any:
    return lr_scheduler.OneCycleLR(optimizer, [0.1, 0.02], total_steps=13, cycle_momentum=False)


def cycles(optimizer: torch.optim.Optimizer) -> Any:
    return lr_scheduler.CyclicLR(optimizer, 1e-3, [0.1, 0.02], 900, cycle_momentum=False)


def restarts(optimizer: torch.optim.Optimizer) -> Any:
    return lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 5)


class Own(lr_scheduler.LRScheduler):
    def get_lr(self) -> list[float]:
        return [rate * min(1.0, (self.last_epoch + 1) / 8) for rate in self.base_lrs]

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)


SCHEDULES = [warm_up, in_turn, together, one_cycle, restarts, Own]


@pytest.mark.parametrize("make", SCHEDULES)
@pytest.mark.parametrize("each", ["epoch", "batch", "never"])
def test_a_schedule_is_moved_with_each_step_and_by_nobody_else(treat, make, each) -> None:
    model, trace = treat(lambda: train(make, each), up("faster"))
    assert same(model, train(make, "batch"))
    assert each == "batch" or not same(model, train(make, each))
    assert len(trace.applied) == 1


def test_a_cycle_that_is_at_its_end_stays_there(treat) -> None:
    def short(optimizer: torch.optim.Optimizer) -> Any:
        return lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9, cycle_momentum=False)

    rates: list[list[float]] = []
    treat(lambda: train(short, "epoch", rates), up("faster"))
    assert rates[-1] == rates[-3] < rates[4]


@pytest.mark.parametrize("make", [warm_up, in_turn, together, one_cycle, cycles, Own])
def test_the_rate_that_is_meant_from_the_first_step_on(treat, make) -> None:
    rates: list[list[float]] = []
    seen: list[list[float]] = []
    model, trace = treat(lambda: train(make, rates=rates), up("aim"))
    train(make, rates=seen)
    assert rates == seen  # The script sees its own.
    assert same(model, train(lambda o: lr_scheduler.StepLR(o, 900)))
    assert len(trace.applied) == 1


@pytest.mark.parametrize("how", ["faster", "aim"])
def test_without_a_schedule_nothing_is_changed(treat, how) -> None:
    def plateau(optimizer: torch.optim.Optimizer) -> Any:
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        step = schedule.step
        schedule.step = lambda: step(1.0)  # type: ignore[method-assign]
        return _Plain(schedule)

    model, trace = treat(lambda: train(plateau), up(how))
    assert same(model, train(plateau))
    assert not trace.applied


class _Plain:
    def __init__(self, schedule: Any) -> None:
        self.step = schedule.step

    def state_dict(self) -> dict[str, Any]:
        return {}


def test_everything_is_put_back(treat) -> None:
    kinds = (lr_scheduler.LRScheduler, lr_scheduler.SequentialLR, lr_scheduler.ChainedScheduler)
    names = ("__init__", "step")
    before = [getattr(kind, name) for kind in kinds for name in names]
    treat(lambda: train(in_turn), up("faster"))
    assert before == [getattr(kind, name) for kind in kinds for name in names]


def stalled(pace: float) -> Symptom:
    evidence = {"aim": 1.0, "rate": 0.01, "moves": 9.0, "pace": pace}
    return Symptom(code="P807", name="x", severity=0.9, where="opt", message="", evidence=evidence)


FALLEN = Symptom(code="P807", name="x", severity=0.9, where="opt", message="")


@pytest.mark.parametrize(
    ("symptoms", "how"),
    [
        ([], "slower"),
        ([FALLEN], "slower"),
        ([stalled(0.02)], "faster"),
        ([stalled(0.0)], "faster"),
        ([stalled(0.98)], "aim"),
        ([stalled(2.0)], "aim"),
        ([stalled(0.98), stalled(0.02)], "faster"),
    ],
)
def test_what_is_tried_first_takes_the_rate_to_the_right_side(symptoms, how) -> None:
    action = REMEDY.default("", symptoms)
    assert action.params["how"] == how
    assert set(action.params) == ({"how", "every"} if how == "slower" else {"how"})


def moved(position: float) -> Trace:
    rows = [["opt@train.py:8", "schedule.position", position]]
    signals: Event = {"event": "signals", "step": 90, "phase": "train", "rows": rows}
    return Trace.of([signals, {"event": "progress", "step": 100}])


@pytest.mark.parametrize(
    ("how", "position", "options"),
    [
        ("slower", 90.0, ("slower", "hold")),
        ("hold", 90.0, ("slower", "hold")),
        ("faster", 3.0, ("faster", "aim")),
        ("aim", 3.0, ("faster", "aim")),
        ("aim", 90.0, ("aim",)),
    ],
)
def test_only_what_takes_it_to_the_same_side_is_tried_beside(how, position, options) -> None:
    (action,) = up(how)
    space = REMEDY.space_near(action, moved(position))
    assert space["how"].options == options
    assert ("every" in space) is (how in ("slower", "hold"))


def test_the_advice_fits_the_side() -> None:
    assert "after each optimizer.step()" in REMEDY.advice(*up("faster"))
    assert "shorter than the run" in REMEDY.advice(*up("aim"))


def test_a_schedule_that_is_set_up_again_is_moved_once(treat) -> None:
    def again(optimizer: torch.optim.Optimizer) -> Any:
        schedule = warm_up(optimizer)
        schedule.__init__(optimizer, schedule.lr_lambdas[0])
        return schedule

    model, _ = treat(lambda: train(again), up("faster"))
    assert same(model, train(again, "batch"))


def test_many_schedules_are_held_as_one_is(treat) -> None:
    def many(optimizer: torch.optim.Optimizer) -> Any:
        return [warm_up(optimizer) for _ in range(1200)][-1]

    model, _ = treat(lambda: train(many), up("faster"))
    assert same(model, train(warm_up, "batch"))
