"""A trace on disk: its series as a Parquet table, everything else as JSON.

``trace.parquet`` has the columns ``phase`` (``train``, ``eval`` or ``metric``), ``where`` (for a
metric: where it was read), ``name``, ``step`` and ``value``, in the order they were recorded;
``trace.json`` has the events of all the rest: the module tree, the loss terms, the optimizers, what
was applied, the notes, the ending.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from probes.series import MetricSeries, Series
from probes.trace import Trace

TABLE = "trace.parquet"
REST = "trace.json"

_KEY = "phase", "where", "name"
METRIC = "metric"
"""Phase of the series of metrics; their place is where they were read."""


def write_trace(trace: Trace, folder: Path) -> None:
    """Write ``trace.parquet`` and ``trace.json`` into the folder."""
    import numpy
    import pyarrow
    from pyarrow import parquet

    found = list(_all_series(trace))
    keys = [(phase, where, name) for phase, where, name, _ in found]
    lengths = [len(series) for *_, series in found]
    columns = [
        pyarrow.DictionaryArray.from_arrays(
            numpy.repeat(numpy.array(codes, dtype="i4"), lengths), pyarrow.array(names, "string")
        )
        for codes, names in (_coded([key[place] for key in keys]) for place in range(len(_KEY)))
    ]
    numbers = [series.columns for *_, series in found]
    columns.append(pyarrow.array(_joined([steps for steps, _ in numbers], "i8")))
    columns.append(pyarrow.array(_joined([values for _, values in numbers], "f8")))
    table = pyarrow.table(columns, names=[*_KEY, "step", "value"])
    # Most values were 32-bit numbers: by their bytes, the zeros lie together and cost nothing.
    parquet.write_table(
        table,
        folder / TABLE,
        compression="zstd",
        use_dictionary=list(_KEY),
        use_byte_stream_split=["value"],
    )
    facts = list(trace.facts())
    (folder / REST).write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")


def read_trace(path: Path) -> Trace:
    """The trace whose files lie in a folder; ``path`` is the folder or one of its two files."""
    import numpy
    from pyarrow import parquet

    folder = path if path.is_dir() else path.parent
    trace = Trace.of(json.loads((folder / REST).read_text(encoding="utf-8")))
    table = parquet.read_table(folder / TABLE, read_dictionary=list(_KEY)).unify_dictionaries()
    words = [table[name].combine_chunks() for name in _KEY]
    codes = numpy.array([word.indices.to_numpy() for word in words])
    steps, values = table["step"].to_numpy(), table["value"].to_numpy()
    for start, end in stretches(codes):
        phase, where, name = (word[start].as_py() for word in words)
        series_of(trace, phase, where, name).extend(steps[start:end], values[start:end])
    return trace


def series_of(trace: Trace, phase: Any, where: str, name: str) -> Series:
    """The series of a signal or metric, made where there is none yet."""
    if phase == METRIC:
        return trace.metrics.setdefault(name, MetricSeries(source=where))
    return trace.signals.setdefault((phase, where, name), Series())


def stretches(codes: Any) -> Iterator[tuple[int, int]]:
    """Start and end of each run of columns that are the same; shape (rows, columns)."""
    import numpy

    width = codes.shape[1]
    changes = numpy.flatnonzero((numpy.diff(codes) != 0).any(axis=0)) + 1
    return pairwise([0, *changes.tolist(), width] if width else [])


def _coded(words: Sequence[str]) -> tuple[list[int], list[str]]:
    """The words as places in a list of different ones."""
    places: dict[str, int] = {}
    return [places.setdefault(word, len(places)) for word in words], list(places)


def _joined(parts: Sequence[Any], kind: str) -> Any:
    import numpy

    return numpy.concatenate([numpy.empty(0, kind), *parts])


def _all_series(trace: Trace) -> Iterator[tuple[str, str, str, Series]]:
    for name, metric in trace.metrics.items():
        yield METRIC, metric.source, name, metric
    for (phase, where, name), series in trace.signals.items():
        yield phase, where, name, series
