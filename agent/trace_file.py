"""A trace on disk: its series as a Parquet table, everything else as JSON.

``trace.parquet`` has the columns ``phase`` (``train``, ``eval`` or ``metric``), ``where`` (for a
metric: where it was read), ``name``, ``step`` and ``value``, in the order they were recorded;
``trace.json`` has the events of all the rest: the module tree, the loss terms, the optimizers, what
was applied, the notes, the ending.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.trace import MetricSeries, Series, Trace

TABLE = "trace.parquet"
REST = "trace.json"

_METRIC = "metric"


def write_trace(trace: Trace, folder: Path) -> None:
    """Write ``trace.parquet`` and ``trace.json`` into the folder."""
    import pyarrow
    from pyarrow import parquet

    columns: dict[str, list[Any]] = {n: [] for n in ("phase", "where", "name", "step", "value")}
    for phase, where, name, series in _all_series(trace):
        columns["phase"] += [phase] * len(series)
        columns["where"] += [where] * len(series)
        columns["name"] += [name] * len(series)
        columns["step"] += series.steps
        columns["value"] += series.values
    text, number = pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), pyarrow.int64()
    kinds = {"phase": text, "where": text, "name": text, "step": number}
    schema = pyarrow.schema({**kinds, "value": pyarrow.float64()})
    table = pyarrow.table(columns, schema=schema)
    # Most values were 32-bit numbers: by their bytes, the zeros lie together and cost nothing.
    named = ["phase", "where", "name"]
    parquet.write_table(
        table,
        folder / TABLE,
        compression="zstd",
        use_dictionary=named,
        use_byte_stream_split=["value"],
    )
    facts = list(trace.facts())
    (folder / REST).write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")


def read_trace(path: Path) -> Trace:
    """The trace whose files lie in a folder; ``path`` is the folder or one of its two files."""
    from pyarrow import parquet

    folder = path if path.is_dir() else path.parent
    trace = Trace.of(json.loads((folder / REST).read_text(encoding="utf-8")))
    table = parquet.read_table(folder / TABLE).to_pydict()
    for phase, where, name, step, value in zip(*table.values(), strict=True):
        series: Series
        if phase == _METRIC:
            series = trace.metrics.setdefault(name, MetricSeries(source=where))
        else:
            series = trace.signals.setdefault((phase, where, name), Series())
        series.append(step, value)
    return trace


def _all_series(trace: Trace) -> Iterator[tuple[str, str, str, Series]]:
    for name, metric in trace.metrics.items():
        yield _METRIC, metric.source, name, metric
    for (phase, where, name), series in trace.signals.items():
        yield phase, where, name, series
