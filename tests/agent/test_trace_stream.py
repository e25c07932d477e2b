"""What a run told is on the disk while it goes on, and is there when its writer was killed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agent import trace_stream
from agent.trace_stream import STREAM, TraceStream, read_stream
from probes.trace import Event, Trace
from tests.agent.test_trace_file import WHOLE


def steps(first: int, last: int) -> list[Event]:
    return [
        {
            "event": "signals",
            "step": step,
            "phase": "eval" if step % 3 else "train",
            "rows": [[f"net.{place}", "std", random.random()] for place in range(1 + step % 2)],
        }
        for step in range(first, last)
    ]


def written(stream: TraceStream, events: list[Event]) -> None:
    for event in events:
        stream.feed(event)


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("events", [WHOLE, steps(0, 40) + WHOLE, []], ids=["a", "many", "none"])
def test_it_reads_as_what_was_told(
    rows: int, events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_stream, "_ROWS", rows)
    stream = TraceStream(tmp_path)
    written(stream, events)
    assert stream.close()
    # NaN differs from itself, not its repr.
    assert repr(vars(read_stream(tmp_path))) == repr(vars(Trace.of(events)))


def test_what_came_is_there_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_stream, "_SECONDS", 0.0)
    stream = TraceStream(tmp_path)
    early, late = steps(0, 20), steps(20, 30)
    written(stream, early)
    size = (tmp_path / STREAM).stat().st_size
    assert repr(vars(read_stream(tmp_path))) == repr(vars(Trace.of(early)))
    written(stream, late)
    whole = (tmp_path / STREAM).read_bytes()
    for end in range(size, len(whole), 97):
        (tmp_path / STREAM).write_bytes(whole[:end])
        there = read_stream(tmp_path).steps
        assert 19 <= there < 29
        known = [event for event in early + late if event["step"] <= there]
        assert repr(vars(read_stream(tmp_path))) == repr(vars(Trace.of(known)))


def test_a_disk_that_takes_nothing_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stream = TraceStream(tmp_path / "file" / "1")
    written(stream, WHOLE)
    assert not stream.close()
