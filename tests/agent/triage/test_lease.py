"""Of several who want a run, one gets it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import InfrastructureError
from agent.store import Store
from agent.triage import lease as module
from agent.triage.lease import Lease, take
from agent.triage.runs import LEASE, VERDICT, Run
from agent.triage.tracking import Tracking, open_tracking
from tests.engines import MlflowServer

ROOT = Path(__file__).parents[3]
Log = Callable[..., Run]


class SlowStore:
    """Tags of one run on a server that takes its time, and whose last writer wins."""

    store = Store("http://tracking.example", None)

    def __init__(self, delays: Callable[[], float]) -> None:
        self._delays = delays
        self._tags: dict[str, str] = {}

    def run(self, run_id: str) -> Run:
        time.sleep(self._delays())
        return Run(run_id, "a run", "0", "FAILED", 0.0, tags=dict(self._tags))

    def tag(self, run_id: str, tags: dict[str, str]) -> None:
        time.sleep(self._delays())
        self._tags |= tags
        time.sleep(self._delays())


@pytest.mark.parametrize("seed", range(5))
def test_one_of_many_gets_it_without_a_lock(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    monkeypatch.setattr(module, "_GAP", 0.1)
    monkeypatch.setattr(module, "_SETTLE", 0.2)
    chance = random.Random(seed)
    store: Any = SlowStore(lambda: chance.choice([0.0, 0.01, 0.03, 0.09]))
    got = []

    def want() -> None:
        time.sleep(chance.random() * 0.2)
        with contextlib.suppress(InfrastructureError):  # Too slow, that one.
            got.append(take(store, "run", 60.0))

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    holders = [lease for lease in got if lease is not None]
    assert len(holders) <= 1
    for lease in holders:
        assert lease.held


def test_a_store_that_is_too_slow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GAP", 0.01)
    store: Any = SlowStore(lambda: 0.02)
    with pytest.raises(InfrastructureError, match="takes more than"):
        take(store, "run", 60.0)


def test_alone_it_is_given_without_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLE", 0.01)
    store: Any = SlowStore(lambda: 0.0)
    lease = take(store, "run", 60.0)
    assert lease is not None and lease.held
    assert take(store, "run", 60.0) is None
    lease.release()
    assert take(store, "run", 60.0) is not None


def test_one_of_many_gets_it_in_a_database(tracking: Tracking, log: Log) -> None:
    run, got = log("FAILED"), []
    threads = [
        threading.Thread(target=lambda: got.append(take(tracking, run.run_id, 60.0)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 6
    assert sum(lease is not None for lease in got) == 1


@pytest.mark.slow
@pytest.mark.xdist_group("engines")
def test_one_of_many_gets_it_on_a_server(mlflow_server: MlflowServer, tmp_path: Path) -> None:
    tracking = open_tracking(mlflow_server.uri, tmp_path)
    run_id = tracking.create("leases", "wanted", {})
    got: list[Any] = []

    def want() -> None:
        try:
            got.append(take(open_tracking(mlflow_server.uri, tmp_path), run_id, 60.0))
        except InfrastructureError as error:
            got.append(error)

    threads = [threading.Thread(target=want) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (lease,) = [one for one in got if isinstance(one, Lease)]
    assert lease.held and lease.renew()
    assert take(tracking, run_id, 60.0) is None
    lease.release()
    assert tracking.run(run_id).tags[LEASE] == ""


def test_a_lease_that_ran_out_is_taken_over(tracking: Tracking, log: Log) -> None:
    run = log("FAILED")
    old = take(tracking, run.run_id, 60.0)
    assert old is not None
    late = {"owner": old._owner, "expires": time.time() - 120}
    tracking.tag(run.run_id, {LEASE: json.dumps(late)})
    new = take(tracking, run.run_id, 60.0)
    assert new is not None and new.held
    assert not old.renew()
    old.release()
    assert new.renew()


def test_a_lease_ends_with_its_process(tracking: Tracking, log: Log) -> None:
    run = log("FAILED")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from agent.triage.lease import take\n"
        "from agent.triage.tracking import open_tracking\n"
        "assert take(open_tracking(sys.argv[1], Path('/')), sys.argv[2], 3600.0)\n"
    )
    command = [sys.executable, "-c", code, tracking.store.uri, run.run_id]
    subprocess.run(command, cwd=ROOT, check=True)
    assert json.loads(tracking.run(run.run_id).tags[LEASE])["owner"]
    assert take(tracking, run.run_id, 60.0) is not None


def test_it_is_not_renewed_when_it_may_be_taken_right_now(tracking: Tracking, log: Log) -> None:
    lease = take(tracking, log("FAILED").run_id, 0.2)
    assert lease is not None and lease.renew()
    time.sleep(0.2)
    assert not lease.renew()


def test_a_run_that_is_done_has_no_lease(tracking: Tracking, log: Log) -> None:
    assert take(tracking, log("FAILED", tags={VERDICT: "fixed"}).run_id, 60.0) is None


@pytest.mark.parametrize(
    "text", ["nonsense", "[]", "null", '{"owner": "a", "expires": "x"}', 4000 * "[", '{"pid": 7}']
)
def test_nonsense_in_the_tag_is_no_lease(tracking: Tracking, log: Log, text: str) -> None:
    assert take(tracking, log("FAILED", tags={LEASE: text}).run_id, 60.0) is not None
