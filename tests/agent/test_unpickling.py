"""Nothing that a store or a script provides is unpickled: that would run what it says."""

from __future__ import annotations

import ast
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.diagnosis import read_diagnosis
from agent.inside.watch import EventPipe
from agent.trace_file import REST, TABLE, read_trace, write_trace
from agent.triage.runs import Run
from probes.trace import Trace

ROOT = Path(__file__).parents[2]
PICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
LOADERS = {"torch.load", "numpy.load", "np.load", "pandas.read_pickle", "yaml.load"}
OURS = {"agent/inside/called.py"}
"""Reads, in the process of a trial, the function that its caller has handed over to be run."""


def loads(path: Path) -> Iterator[str]:
    """Where a module reads a format that can run code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in PICKLERS:
            yield f"{path}:{node.lineno}"
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            module, _, function = name.partition(".")
            if name in LOADERS or (module in PICKLERS and not function.startswith("dump")):
                yield f"{path}:{node.lineno}"


def test_no_module_of_ours_does() -> None:
    modules = [
        path for name in ("agent", "probes", "remedies") for path in (ROOT / name).rglob("*.py")
    ]
    found = {str(p.relative_to(ROOT)) for p in modules if list(loads(p))}
    assert found == OURS


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.mkdir, (str(self.path), 0o700)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    return tmp_path / "sprung"


@pytest.fixture
def trap(sprung: Path) -> bytes:
    return pickle.dumps(Trap(sprung))


def test_the_trap_works(trap: bytes, sprung: Path) -> None:
    pickle.loads(trap)
    assert sprung.exists()


def test_what_a_script_sends_is_no_pickle(trap: bytes, sprung: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, trap + b"\n" + b'{"event": "progress", "step": 3}\n' + trap + b"\n")
    pipe = EventPipe(reader)
    assert [event["step"] for event in pipe.read()] == [3]
    assert not sprung.exists()


@pytest.mark.parametrize("name", [TABLE, REST])
def test_what_a_store_has_of_a_trial_is_no_pickle(
    trap: bytes, sprung: Path, tmp_path: Path, name: str
) -> None:
    write_trace(Trace(), tmp_path)
    (tmp_path / name).write_bytes(trap)
    with pytest.raises(ValueError):
        read_trace(tmp_path)
    assert not sprung.exists()


def test_what_a_store_has_of_a_diagnosis_is_no_pickle(trap: bytes, sprung: Path) -> None:
    with pytest.raises(ValueError):
        read_diagnosis(trap.decode("latin-1"))
    run = Run("a", "b", "0", "FAILED", 0.0, tags={"agent.run.argv": trap.decode("latin-1")})
    assert run.arguments is None
    assert not sprung.exists()
