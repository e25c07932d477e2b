import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import InfrastructureError, UsageError
from agent.service.attempts import Attempts, Claim, Ended
from agent.service.queue import Conflict, Full, NewJob, Queue
from agent.service.tables import Database

Take = Callable[[], Claim | None]
Put = Callable[..., str]
GONE = {"host": "", "boot": "", "pid": "", "started": ""}


def _gone() -> dict[str, str]:
    """Identity of a process of this machine that has died."""
    import os
    import subprocess

    from agent.recorder.facts import process_identity

    child = subprocess.Popen(["true"])
    child.wait()
    return process_identity(os.getpid()) | {"pid": str(child.pid), "started": "1"}


def _states(queue: Queue, job: str) -> list[str]:
    row = queue.get(job)
    assert row is not None
    return [event.data for event in queue.events(row.number, 0) if event.kind == "state"]


def test_jobs_are_taken_in_their_order(put: Put, take: Take) -> None:
    jobs = [put() for _ in range(3)]
    claims = [take(), take(), take()]
    assert [claim.id for claim in claims if claim] == jobs
    assert take() is None


def test_no_more_than_so_many_wait(put: Put, take: Take) -> None:
    put(most=2)
    put(most=2)
    with pytest.raises(Full) as full:
        put(most=2)
    assert full.value.retry >= 1
    take()
    put(most=2)  # One that runs does not wait.


def test_the_bound_holds_for_many_at_once(queue: Queue) -> None:
    told: list[bool] = []

    def submit() -> None:
        try:
            queue.submit(NewJob("diagnosis"), 5)
            told.append(True)
        except Full:
            told.append(False)

    threads = [threading.Thread(target=submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(told) == 5 and len(told) == 20
    assert queue.counts() == {"queued": 5}


def test_the_same_key_is_the_same_job(queue: Queue) -> None:
    first, is_new = queue.submit(NewJob("diagnosis", digest="a", key="k"), 1)
    again, is_new_again = queue.submit(NewJob("diagnosis", digest="a", key="k"), 1)
    assert (is_new, is_new_again) == (True, False)
    assert first.id == again.id
    with pytest.raises(Conflict):
        queue.submit(NewJob("diagnosis", digest="b", key="k"), 1)


def test_of_many_workers_one_gets_each_job(put: Put, take: Take) -> None:
    jobs = [put() for _ in range(20)]
    got: Counter[str] = Counter()

    def work() -> None:
        while claim := take():
            got[claim.id] += 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == Counter(jobs)


def test_a_job_ends_once(queue: Queue, attempts: Attempts, put: Put, take: Take) -> None:
    job = put()
    claim = take()
    assert claim is not None
    ended = Ended("done", {"verdict": "healthy"}, {"diagnosis": b"{}"})
    assert attempts.finish(claim, ended)
    assert not attempts.finish(claim, ended)
    assert queue.result(claim.number, "diagnosis") == b"{}"
    assert [state.split('"')[3] for state in _states(queue, job)] == ["queued", "running", "done"]


def test_the_job_of_a_dead_worker_is_taken_over(
    queue: Queue, attempts: Attempts, put: Put, take: Take
) -> None:
    job = put()
    lost = attempts.claim(_gone(), 2, 0.0)
    assert lost is not None and not lost.again
    assert attempts.reclaim() == 1
    assert attempts.reclaim() == 0
    claim = take()
    assert claim is not None and claim.id == job and claim.again
    # What the dead one may still write changes nothing.
    assert attempts.beat(lost, [("line", "{}")]) is None
    assert not attempts.finish(lost, Ended("failed"))
    assert not attempts.put_back(lost, "")
    assert attempts.finish(claim, Ended("done"))
    row = queue.get(job)
    assert row is not None and (row.state, row.attempts) == ("done", 2)


def test_a_living_worker_keeps_its_job(attempts: Attempts, put: Put, take: Take) -> None:
    put()
    claim = take()
    assert attempts.reclaim() == 0
    assert claim is not None and attempts.beat(claim, []) is False


def test_a_silent_worker_of_another_machine_loses_its_job(
    attempts: Attempts, put: Put, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    put()
    attempts.claim(GONE | {"host": "elsewhere", "pid": "1"}, 2, 0.0)
    assert attempts.reclaim() == 0
    now = database.now
    monkeypatch.setattr(database, "now", lambda connection: now(connection) + 31)
    assert attempts.reclaim() == 1


def test_what_kills_its_workers_is_given_up(queue: Queue, attempts: Attempts, put: Put) -> None:
    job = put()
    for _ in range(3):
        assert attempts.claim(_gone(), 2, 0.0)
        attempts.reclaim()
    row = queue.get(job)
    assert row is not None
    assert (row.state, row.error) == ("failed", "3 attempts failed: the worker was killed")


def test_what_was_interrupted_is_no_attempt(
    queue: Queue, attempts: Attempts, put: Put, take: Take
) -> None:
    job = put()
    for _ in range(5):
        claim = take()
        assert claim is not None
        attempts.put_back(claim, "interrupted", counted=False)
    row = queue.get(job)
    assert row is not None and (row.state, row.attempts) == ("queued", 0)


def test_cancelling(queue: Queue, attempts: Attempts, put: Put, take: Take) -> None:
    runs, waits = put(), put()
    claim = take()
    assert claim is not None
    row = queue.cancel(waits)
    assert row is not None and row.state == "cancelled"
    assert take() is None
    row = queue.cancel(runs)
    assert row is not None and (row.state, row.cancelling) == ("running", True)
    assert attempts.beat(claim, []) is True
    attempts.put_back(claim, "the worker was killed")  # Nobody takes it up again.
    row = queue.get(runs)
    assert row is not None and (row.state, row.cancelling) == ("cancelled", False)
    again = queue.cancel(runs)
    assert again is not None and again.state == "cancelled"


def test_no_worker_takes_what_it_has_no_room_for(attempts: Attempts, put: Put) -> None:
    put(cpus=4)
    small = put(cpus=1)
    claim = attempts.claim(GONE, 2, 0.0)
    assert claim is not None and claim.id == small


def test_old_jobs_are_forgotten(queue: Queue, attempts: Attempts, put: Put, take: Take) -> None:
    old, waits = put(), put()
    claim = take()
    assert claim is not None
    attempts.finish(claim, Ended("done", {}, {"diagnosis": b"{}"}))
    assert queue.purge(3600) == 0
    assert queue.purge(-1) == 1
    assert queue.get(old) is None and queue.get(waits) is not None
    assert queue.result(claim.number, "diagnosis") is None
    assert not queue.events(claim.number, 0)


def test_one_sweep_at_a_time(queue: Queue) -> None:
    first, is_new = queue.submit_once(NewJob("triage"))
    again, is_new_again = queue.submit_once(NewJob("triage"))
    assert first.id == again.id and (is_new, is_new_again) == (True, False)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "made" / "q.db"
    Database(f"sqlite:///{file}").close()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["nonsense", "nosuch://me:s3cret@host/db", "sqlite://"])
def test_a_store_that_makes_no_sense(url: str) -> None:
    with pytest.raises(UsageError) as error:
        Database(url)
    assert str(error.value).startswith("--store") and "s3cret" not in str(error.value)


def test_a_store_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for url in (
        f"sqlite:///{tmp_path}",
        f"sqlite:///{tmp_path}/file/q.db",
        "postgresql+psycopg://me:s3cret@127.0.0.1:1/db",
    ):
        if "psycopg" in url:
            pytest.importorskip("psycopg")
        with pytest.raises(InfrastructureError) as error:
            Database(url)
        assert "s3cret" not in str(error.value) and "\n" not in str(error.value)
