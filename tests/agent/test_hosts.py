from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

from agent import hosts
from agent.hosts import end_spare_hosts, keeping_hosts
from agent.launch import Launcher
from agent.places import Size
from agent.workload import Outcome, TrialSpec

pytestmark = pytest.mark.slow

Launch = Callable[..., Launcher]
Run = Callable[..., list[Outcome]]
Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def kept(ray: None) -> Iterator[None]:
    with keeping_hosts():
        yield


def _actors() -> list[str]:
    return [actor._actor_id.hex() for actors in hosts._spare.values() for actor in actors]


def _value(outcome: Outcome) -> float:
    return outcome.trace.metrics["loss"].values[-1]


def test_the_next_launcher_has_the_hosts_of_the_last(
    launcher: Launch, outcomes: Run, write: Write
) -> None:
    first, second = write("first.py", "print('loss=1')\n"), write("second.py", "print('loss=2')\n")
    with launcher(first) as launch:
        assert _value(outcomes(launch, TrialSpec(0))[0]) == 1
    kept = _actors()
    assert len(kept) == 1
    with launcher(second) as launch:
        assert _actors() == []
        assert _value(outcomes(launch, TrialSpec(0))[0]) == 2
    assert _actors() == kept


def test_a_host_that_was_left_in_the_middle_of_a_trial(
    launcher: Launch, outcomes: Run, write: Write
) -> None:
    endless = write("endless.py", "import time\nprint('loss=1', flush=True)\ntime.sleep(600)\n")
    with launcher(endless) as launch:
        launch.submit(TrialSpec(0))
        while not launch.poll():
            pass
    kept = _actors()
    with launcher(write("next.py", "print('loss=2')\n")) as launch:
        outcome = outcomes(launch, TrialSpec(0))[0]
    assert (outcome.status, _value(outcome)) == ("completed", 2)
    assert _actors() == kept


def test_a_host_that_has_died_is_replaced(launcher: Launch, outcomes: Run, write: Write) -> None:
    script = write("train.py", "print('loss=1')\n")
    with launcher(script) as launch:
        outcomes(launch, TrialSpec(0))
    kept = _actors()
    for actor in hosts._spare[Size(1, 0)]:
        ray.kill(actor)
    with launcher(script) as launch:
        assert _value(outcomes(launch, TrialSpec(0))[0]) == 1
    assert _actors() != kept


def test_hosts_of_another_size_make_room(launcher: Launch, outcomes: Run, write: Write) -> None:
    script = write("train.py", "print('loss=1')\n")
    with launcher(script, cpus=2) as launch:
        outcomes(launch, TrialSpec(0))
    assert list(hosts._spare) == [Size(2, 0)]
    with launcher(script) as launch:
        outcomes(launch, TrialSpec(0))
    assert list(hosts._spare) == [Size(1, 0)]
    end_spare_hosts()
    assert _actors() == []


def test_nothing_is_kept_unasked(
    launcher: Launch, outcomes: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_keeps", False)
    with launcher(write("train.py", "print('loss=1')\n")) as launch:
        outcomes(launch, TrialSpec(0))
    assert _actors() == []
