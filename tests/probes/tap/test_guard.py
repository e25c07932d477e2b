"""What goes wrong in an observer stays there."""

from __future__ import annotations

import pytest
import torch

from probes.tap.calls import CallLog
from probes.tap.guard import Guard
from probes.tap.tap import StopTraining
from probes.trace import Event


def test_errors_are_noted_once_and_an_observer_that_keeps_failing_is_left_out() -> None:
    notes: list[Event] = []
    calls: list[int] = []

    def observer(number: int) -> int:
        calls.append(number)
        raise ValueError("odd tensor")

    guarded = Guard(notes.append)(observer)
    assert [guarded(number) for number in range(5)] == [None] * 5
    assert calls == [0, 1, 2]
    assert len(notes) == 1 and "ValueError: odd tensor" in notes[0]["text"]


def test_the_end_of_the_training_passes() -> None:
    def observer() -> None:
        raise StopTraining

    with pytest.raises(StopTraining):
        Guard()(observer)()


def test_a_listener_that_fails_does_not_disturb_the_call() -> None:
    notes: list[Event] = []
    log = CallLog(Guard(notes.append))
    heard: list[str] = []

    failed = 0

    def broken(*call: object) -> None:
        nonlocal failed
        failed += 1
        raise RuntimeError("no")

    log.listen(broken)
    log.listen(lambda func, *rest: heard.append(func.__name__))
    log.switch_on()
    try:
        total = torch.ones(3).sum()
        for _ in range(4):
            total = total + 1
    finally:
        log.switch_off()
    assert total.item() == 7
    assert heard.count("add") == 4
    assert len(notes) == 1 and failed == 3
