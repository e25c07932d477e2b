"""A trace on disk while its run goes on: batches appended to an Arrow stream as they come.

A Parquet file is nothing until its end is written. This file is readable up to its last whole batch
whenever its writer is killed, and what is half written at its end is left out. Each batch has the
columns ``series``, ``step`` and ``value``, and as JSON beside them ``series`` (the phase, place and
name of those that are new, counted through the file) and ``facts`` (all other events).
"""

from __future__ import annotations

import contextlib
import json
import time
from array import array
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.trace_file import METRIC, series_of, stretches
from probes.trace import Event, Trace

if TYPE_CHECKING:
    from pyarrow.ipc import RecordBatchStreamWriter

STREAM = "trace.arrows"

_ROWS = 200_000  # of a batch at most
_SECONDS = 5.0  # between batches, where there are fewer rows
_TOLD = b"told"


class TraceStream:
    """Takes the events of a run, and has them on the disk within seconds.

    What cannot be written is given up without a word: the trace is in memory, too.

    Args:
        folder: Of this run alone; made here with the first batch.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = contextlib.ExitStack()
        self._writer: RecordBatchStreamWriter | None = None
        self._broken = False
        self._codes: dict[tuple[str, str, str], int] = {}
        self._layouts: dict[str, tuple[Any, array[int]]] = {}
        self._flushed = time.monotonic()
        self._progress: Event | None = None
        self._forget()

    def feed(self, event: Event) -> None:
        """Take in one event."""
        if self._broken:
            return
        match event["event"]:
            case "signals" if event["rows"]:
                self._add(event["phase"], event["step"], event["rows"])
            case "metric":
                row = event.get("source", "printed"), event["name"], event["value"]
                self._add(METRIC, event["step"], [row])
            case "progress":
                self._progress = event
            case _:
                self._facts.append(event)
        if len(self._values) >= _ROWS or time.monotonic() > self._flushed + _SECONDS:
            self._flush()

    def close(self) -> bool:
        """Write the rest; says whether all of it is on the disk."""
        if not self._broken:
            self._flush()
        with contextlib.suppress(OSError):
            self._stack.close()
        return not self._broken

    def _add(self, phase: str, step: int, rows: list[Any]) -> None:
        wheres, names = [row[0] for row in rows], [row[1] for row in rows]
        layout = self._layouts.get(phase)
        # The rows of one step are those of the step before, nearly always.
        if layout is None or layout[0] != (wheres, names):
            found = array("i", (self._code(phase, *at) for at in zip(wheres, names, strict=True)))
            layout = self._layouts[phase] = (wheres, names), found
        self._series.extend(layout[1])
        self._steps.extend(repeat(step, len(rows)))
        self._values.extend([row[2] for row in rows])

    def _code(self, *key: str) -> int:
        phase, where, name = key
        code = self._codes.setdefault((phase, where, name), len(self._codes))
        if code == self._named + len(self._new):
            self._new.append(key)
        return code

    def _flush(self) -> None:
        import pyarrow

        facts = self._facts + ([self._progress] if self._progress else [])
        told = json.dumps({"series": self._new, "facts": facts}, default=str)
        columns: dict[str, array[Any]]
        columns = {"series": self._series, "step": self._steps, "value": self._values}
        try:
            batch = pyarrow.record_batch({n: _column(found) for n, found in columns.items()})
            writer = self._writer or self._open(batch.schema)
            writer.write_batch(batch, custom_metadata={_TOLD: told.encode()})
        except (OSError, pyarrow.ArrowException):
            self._broken = True
        self._forget()
        self._flushed = time.monotonic()

    def _open(self, schema: Any) -> RecordBatchStreamWriter:
        from pyarrow import OSFile, ipc

        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._stack.enter_context(OSFile(str(self.folder / STREAM), "wb"))
        options = ipc.IpcWriteOptions(compression="zstd")
        self._writer = self._stack.enter_context(ipc.new_stream(file, schema, options=options))
        return self._writer

    def _forget(self) -> None:
        """Begin a batch."""
        self._series, self._steps, self._values = array("i"), array("q"), array("d")
        self._facts: list[Event] = []
        self._progress = None
        self._new: list[tuple[str, ...]] = []
        self._named = len(self._codes)


def read_stream(folder: Path) -> Trace:
    """The trace that was streamed into a folder, as far as it came."""
    import pyarrow
    from pyarrow import OSFile, ipc

    trace = Trace()
    keys: list[tuple[str, str, str]] = []
    with contextlib.suppress(StopIteration, pyarrow.ArrowInvalid, OSError):
        with OSFile(str(folder / STREAM), "rb") as file, ipc.open_stream(file) as reader:
            while True:
                batch, told = reader.read_next_batch_with_custom_metadata()
                content = json.loads(told[_TOLD])
                keys += content["series"]
                for event in content["facts"]:
                    trace.feed(event)
                _take_in(trace, keys, *(column.to_numpy() for column in batch.columns))
    return trace


def _take_in(trace: Trace, keys: list[tuple[str, str, str]], *columns: Any) -> None:
    """Add the rows of a batch to their series."""
    import numpy

    order = numpy.argsort(columns[0], kind="stable")
    codes, steps, values = (column[order] for column in columns)
    for start, end in stretches(codes[None]):
        phase, where, name = keys[codes[start]]
        series_of(trace, phase, where, name).extend(steps[start:end], values[start:end])
        if phase != METRIC:
            trace.steps = max(trace.steps, int(steps[end - 1]))


def _column(numbers: array[Any]) -> Any:
    import numpy
    import pyarrow

    return pyarrow.array(numpy.frombuffer(numbers, numbers.typecode))
