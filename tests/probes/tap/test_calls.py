"""Torch calls are told of while the log is on, whatever modes come and go around it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from probes.tap.calls import CallLog


class Own(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def test_calls_are_told_of_only_while_it_is_on() -> None:
    log, names = CallLog(), []
    log.listen(lambda func, args, kwargs, result: names.append(func.__name__))
    torch.ones(2).exp()
    log.switch_on()
    torch.ones(2).exp()
    log.switch_off()
    torch.ones(2).exp()
    assert names.count("exp") == 1


def test_it_is_taken_off_from_below_a_mode_of_the_user() -> None:
    log, before = CallLog(), list(_get_current_function_mode_stack())
    log.switch_on()
    with Own() as own:
        log.switch_off()
        assert list(_get_current_function_mode_stack()) == [*before, own]
    assert list(_get_current_function_mode_stack()) == before


def test_what_a_listener_computes_is_not_told_of() -> None:
    log, names = CallLog(), []

    def listen(func: Any, args: Any, kwargs: Any, result: Any) -> None:
        names.append(func.__name__)
        torch.ones(2).exp()

    log.listen(listen)
    log.switch_on()
    torch.ones(2).sin()
    log.switch_off()
    assert "exp" not in names and "sin" in names


def test_it_is_on_once_when_it_is_switched_within_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    log, before = CallLog(), list(_get_current_function_mode_stack())
    backward = torch.autograd.backward

    def step_too(*args: Any, **kwargs: Any) -> None:
        """Makes an optimizer's step: one probed step ends, another begins."""
        backward(*args, **kwargs)
        log.switch_off()
        log.switch_on()

    monkeypatch.setattr(torch.autograd, "backward", step_too)
    log.switch_on()
    for _ in range(3):
        torch.ones(2, requires_grad=True).sum().backward()
    assert list(_get_current_function_mode_stack()) == [*before, log]
    log.switch_off()
    assert list(_get_current_function_mode_stack()) == before
