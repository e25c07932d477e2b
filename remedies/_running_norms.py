"""What the remedies of norms with running statistics have in common."""

from __future__ import annotations

from collections.abc import Iterator

from probes.trace import Trace

SIGNATURE = (
    "num_features", "eps", "momentum", "affine", "track_running_stats", "device", "dtype",
)  # fmt: skip
"""Positional parameters of the batch norms of torch."""


def all_as_one(trace: Trace) -> Iterator[str]:
    """All norms with running statistics as one target; nothing where there are none."""
    norms = [info.where for info in trace.modules.values() if info.running_statistics]
    if norms:
        yield ",".join(norms)
