"""Rewrites a small script, given what a run would have told about its lines."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes.trace import Event, Trace
from remedies import Action, remedies
from remedies.source.source import Source

Rewrite = Callable[..., str]


@pytest.fixture
def rewrite(tmp_path: Path) -> Rewrite:
    """Gives the script after an action; ``trace`` maps names to a piece of their line."""

    def rewritten(
        text: str, remedy: str, target: str = "", trace: Trace | None = None, **params: Any
    ) -> str:
        script = tmp_path / "train.py"
        script.write_text(textwrap.dedent(text))
        name = remedies[remedy].name
        action = Action(remedy=remedy, name=name, target=target, params=params)
        source = Source(trace or Trace(), tmp_path, script)
        remedies[remedy].rewrite(source, action)
        return next(file.edited for file in source.files if file.path.name == "train.py")

    return rewritten


def norm(
    where: str, line: int, kind: str = "BatchNorm1d", channels: int = 8, positions: float = 30
) -> list[Event]:
    """What a run tells about one norm."""
    return [
        {
            "event": "module",
            "where": where,
            "type": kind,
            "source": f"train.py:{line}",
            "parent": "",
            "parameters": 2 * channels,
            "running_statistics": True,
        },
        {
            "event": "signals",
            "step": 1,
            "phase": "train",
            "rows": [[where, "norm.positions", positions]],
        },
    ]


@pytest.fixture
def seen() -> Callable[..., Trace]:
    """A trace of norms ``(where, line, ...)``."""
    return lambda *norms: Trace.of(event for each in norms for event in norm(*each))


@pytest.fixture
def terms() -> Callable[..., Trace]:
    """A trace of loss terms, by name and line."""
    return lambda **lines: Trace.of(
        {"event": "term", "where": name, "source": f"train.py:{line}"}
        for name, line in lines.items()
    )


@pytest.fixture
def bundled() -> Callable[[str], tuple[str, str]]:
    """The sick and the healthy script of a bundled workload."""

    def read(name: str) -> tuple[str, str]:
        folder = Path(__file__).parents[3] / "workloads" / name
        return (folder / "sick.py").read_text(), (folder / "healthy.py").read_text()

    return read


@pytest.fixture
def facts() -> Callable[..., Trace]:
    """A trace of layers ``"stem": ("Linear", 3)``, the line a number, and of signals by place."""

    def told(
        layers: dict[str, tuple[str, int]] | None = None,
        signals: dict[tuple[str, str], float] | None = None,
        **events: dict[str, Any],
    ) -> Trace:
        found: list[Event] = [
            {
                "event": "module",
                "where": where,
                "type": kind,
                "source": f"train.py:{line}",
                "parent": None if where == "Net" else where.rpartition(".")[0] or "Net",
            }
            for where, (kind, line) in (layers or {}).items()
        ]
        found += [{"event": kind, **fields} for kind, fields in events.items()]
        rows = [[where, name, value] for (where, name), value in (signals or {}).items()]
        return Trace.of([*found, {"event": "signals", "step": 1, "phase": "train", "rows": rows}])

    return told
