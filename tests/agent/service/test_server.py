import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.service import server
from agent.service.attempts import Attempts, Ended
from agent.service.queue import NewJob, Queue
from agent.service.settings import Bounds
from agent.service.tables import Database
from agent.service.work import Work
from agent.service.worker import Worker


def test_sweeps_begin_at_their_times(database: Database) -> None:
    now = datetime.now().astimezone()
    queue, attempts = Queue(database), Attempts(database)
    times = iter([now - timedelta(hours=1), now, now + timedelta(hours=1)])

    async def look(times_to_look: int) -> None:
        chores = server._chores(database, 3600, times)()
        for _ in range(times_to_look):
            await anext(chores)
        await chores.aclose()

    asyncio.run(look(3))
    # Once, though it looks every two seconds: the next one is due in an hour.
    assert queue.counts() == {"queued": 1}
    claim = attempts.claim({}, 1, 0.0)
    assert claim is not None and claim.kind == "triage"
    assert attempts.finish(claim, Ended("done"))


@pytest.mark.slow
def test_a_sweep_is_one_of_triage(
    database: Database, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    queue, attempts = Queue(database), Attempts(database)
    bounds = Bounds(root=root)

    row, _ = queue.submit_once(NewJob("triage"))
    claim = attempts.claim({}, 1, 0.0)
    assert claim is not None
    Worker(attempts, Work(bounds, "local", ("--since", "1d")), bounds).attempt(claim)
    done = queue.get(row.id)
    assert done is not None
    assert (done.state, done.error) == ("done", None)
    assert done.summary.startswith("0 runs seen, 0 need help")
    lines = [event.data for event in queue.events(row.number, 0) if event.kind == "line"]
    assert len(lines) == 1


@pytest.mark.slow
def test_a_sweep_that_cannot_be_made(
    database: Database, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))

    queue, attempts = Queue(database), Attempts(database)
    row, _ = queue.submit_once(NewJob("triage"))
    claim = attempts.claim({}, 1, 0.0)
    assert claim is not None
    bounds = Bounds(root=root)
    Worker(attempts, Work(bounds, "local", ("--since", "yesterday")), bounds).attempt(claim)
    failed = queue.get(row.id)
    assert failed is not None and failed.state == "failed"
    assert failed.error == "'yesterday' is no duration: write 90s, 15m, 6h, 7d"
