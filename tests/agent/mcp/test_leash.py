"""A launcher on a leash: counted runs, and an end when somebody pulls. No trial begins here."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest

from agent.errors import UsageError
from agent.launch import Launcher
from agent.mcp.leash import Leash, Leashed, _termination_kept
from agent.request import Request
from agent.workload import Outcome, TrialSpec, Workload


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host is started, and none is asked."""
    monkeypatch.setattr(Launcher, "_place", lambda launcher: None)
    monkeypatch.setattr(Launcher, "_collect", lambda launcher, timeout: [])


def test_a_check_that_is_too_dear_is_cut_short(
    leashed: Leashed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Launcher, "over", lambda launcher, snapshot: contextlib.nullcontext())
    with leashed.over(cast(Any, None)):
        for number in range(3):
            leashed.submit(TrialSpec(number))
        ((number, outcome),) = leashed.poll(0)
        assert number == 2 and isinstance(outcome, Outcome) and outcome.status == "cancelled"
    assert leashed._leash.runs == 2


@pytest.fixture
def leashed(tmp_path: Path) -> Leashed:
    workload = Workload(script=tmp_path / "train.py", directory=tmp_path)
    launcher = Leashed(Leash(2), cast(Any, None), Request(workload=workload))
    launcher._fleet = mock.Mock(running=[])
    return launcher


def test_what_has_not_begun_costs_nothing(leashed: Leashed) -> None:
    leash = leashed._leash
    leashed.submit(TrialSpec(0))
    leashed.submit(TrialSpec(1))
    with pytest.raises(UsageError, match="all 2 runs"):
        leashed.submit(TrialSpec(2))
    leashed.cancel(1)
    assert leash.left == 1 and leashed.pending == {0, 1}


def test_a_pull_is_an_interrupt_and_is_told_once(leashed: Leashed) -> None:
    leashed.submit(TrialSpec(0))
    leashed._leash.pull()
    with pytest.raises(KeyboardInterrupt):
        leashed.poll(0)
    assert leashed.poll(0) == []


def test_the_check_of_a_patch_is_ended_not_broken(
    leashed: Leashed, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def over(self: Launcher, snapshot: object) -> Iterator[Launcher]:
        yield self

    monkeypatch.setattr(Launcher, "over", over)
    with leashed.over(cast(Any, None)):
        leashed.submit(TrialSpec(0))
        leashed._leash.pull()
        ((number, outcome),) = leashed.poll(0)
        assert number == 0 and isinstance(outcome, Outcome) and outcome.status == "cancelled"
        leashed.submit(TrialSpec(1))  # The next way to write the patch is not tried, either.
        ((number, outcome),) = leashed.poll(0)
        assert number == 1 and isinstance(outcome, Outcome) and outcome.status == "cancelled"
    leashed._leash.pull()
    with pytest.raises(KeyboardInterrupt):
        leashed.poll(0)


def test_what_ray_does_with_sigterm_is_undone() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with _termination_kept():
            ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(1))  # Ignore it.
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
