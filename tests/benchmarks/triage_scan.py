"""How long triage takes to look through a long history, and how much memory that needs.

``python -m tests.benchmarks.triage_scan [RUNS]`` makes a store of 10,000 runs in a temporary
folder, writing the rows itself since MLflow would take minutes, and scans it twice: from the
beginning, and from the watermark.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import sqlite3
import sys
import tempfile
import time
import uuid
from pathlib import Path

from agent.triage.runs import Case
from agent.triage.scan import Scan, Selection
from agent.triage.tracking import Tracking, open_tracking

_EVERY = 500  # One run in so many crashed.
_DAY = 86_400_000


def fill(database: Path, runs: int) -> None:
    """Write runs with ten parameters, five metrics and eight tags each, which ended yesterday."""
    chance = random.Random(0)
    began = round(1000 * time.time()) - 2 * _DAY
    with sqlite3.connect(database) as connection:
        add(
            connection,
            "experiments",
            [{"experiment_id": 7, "name": "long", "lifecycle_stage": "active"}],
        )
        ids = [uuid.UUID(int=chance.getrandbits(128)).hex for _ in range(runs)]
        add(connection, "runs", [row(run, place, began) for place, run in enumerate(ids)])
        params = [{"run_uuid": r, "key": f"p{n}", "value": "0.1"} for r in ids for n in range(10)]
        add(connection, "params", params)
        tags = [{"run_uuid": r, "key": f"t{n}", "value": "x" * 50} for r in ids for n in range(8)]
        add(connection, "tags", tags)
        for table in ("metrics", "latest_metrics"):
            points = [
                {
                    "run_uuid": run,
                    "key": name,
                    "value": chance.gauss(0.9, 0.01),
                    "timestamp": began,
                    "step": 9,
                    "is_nan": 0,
                }
                for run in ids
                for name in ("val_acc", "val_loss", "train_acc", "train_loss", "lr")
            ]
            add(connection, table, points)


def row(run: str, place: int, began: int) -> dict[str, object]:
    """One line of the table of runs."""
    status = "FAILED" if place % _EVERY == 0 else "FINISHED"
    return {
        "run_uuid": run,
        "name": f"run {place}",
        "experiment_id": 7,
        "status": status,
        "lifecycle_stage": "active",
        "source_type": "LOCAL",
        "user_id": "me",
        "start_time": began + place,
        "end_time": began + place + 1000,
        "artifact_uri": "file:///nowhere",
    }


def add(connection: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    """Insert rows; columns that this version of the table does not have are left out."""
    columns = {column[1]: column for column in connection.execute(f"PRAGMA table_info({table})")}
    names = [name for name in rows[0] if name in columns]
    for name, column in columns.items():
        if column[3] and column[4] is None and name not in names:
            raise SystemExit(f"the column {name} of {table} is new and needs a value")
    marks = ", ".join("?" for _ in names)
    values = [[row[name] for name in names] for row in rows]
    connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values)


def scan(tracking: Tracking) -> list[Case]:
    """Scan once, and tell what it took."""
    before, began = resident(), time.monotonic()
    found = Scan(tracking, "7", Selection())
    cases = list(found.cases())
    took = time.monotonic() - began
    print(
        f"{found.seen} runs seen, {len(cases)} need help, {took:.2f} s, "
        f"{resident() - before:+.0f} MiB"
    )
    found.settle(())
    return cases


def resident() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(runs: int) -> None:
    """Make the store and scan it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tracking = open_tracking(None, folder)
        # In a process of its own, whose memory is not counted.
        filling = multiprocessing.get_context("fork").Process(
            target=fill, args=(folder / "mlflow.db", runs)
        )
        filling.start()
        filling.join()
        cases = scan(tracking)
        assert len(cases) >= runs // _EVERY
        scan(tracking)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
