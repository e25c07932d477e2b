import threading
import time
from typing import Any

import pytest

from agent.service import record
from agent.service.attempts import Claim
from agent.service.record import Notes, Pulse

CLAIM = Claim(1, "0" * 32, "diagnosis", "{}", "owner", False)


class Away:
    """A queue whose database is away for some time."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.written: list[Any] = []

    def beat(self, claim: Claim, events: list[Any]) -> bool:
        self.failures -= 1
        if self.failures >= 0:
            raise OSError("the disk is full")
        self.written += events
        return False


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_BEAT", 0.01)


def _pulse(queue: Away, notes: Notes, interrupted: threading.Event, seconds: float) -> Pulse:
    attempts: Any = queue
    return Pulse(attempts, CLAIM, notes, seconds, interrupted.set)


def test_what_could_not_be_written_is_written_later() -> None:
    queue, notes, interrupted = Away(3), Notes(), threading.Event()
    with _pulse(queue, notes, interrupted, 60) as pulse:
        for name in "abc":
            notes.add(name, "{}")
            time.sleep(0.03)
        deadline = time.monotonic() + 10
        while len(queue.written) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [kind for kind, _ in queue.written] == ["a", "b", "c"]
    assert pulse.stop is None and not interrupted.is_set()


def test_work_that_nobody_hears_of_ends_before_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "LEASE", 0.1)
    interrupted = threading.Event()
    with _pulse(Away(10**6), Notes(), interrupted, 60) as pulse:
        assert interrupted.wait(10)
    assert pulse.stop == "lost"


def test_work_that_hangs_is_ended() -> None:
    interrupted = threading.Event()
    with _pulse(Away(0), Notes(), interrupted, 0.05) as pulse:
        assert interrupted.wait(10)
    assert pulse.stop == "late"
