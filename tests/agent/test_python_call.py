"""A Python callable instead of a script."""

from __future__ import annotations

import json
import linecache
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import diagnose
from agent.errors import UsageError, WorkloadError
from agent.python_call import write_call
from probes.trace import Trace

CELL = """
import torch
from torch import nn

EPOCHS = 8

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def forward(self, inputs):
        return self.layers(inputs)

def loss_of(net, inputs):
    fit = (net(inputs)[:, 0] - inputs.sum(1)).square().mean()
    size = sum(p.square().sum() for p in net.parameters())
    return fit + 1e-4 * size

def maker(width):
    def train():
        torch.manual_seed(0)
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
        for epoch in range(EPOCHS):
            for _ in range(10):
                loss = loss_of(net, torch.randn(width, 3))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            print(f"epoch {epoch} val_loss={loss.item():.4f}")
        return {"final_loss": loss.item(), "name": "x"}
    return train

train = maker(32)
"""


@pytest.fixture
def cell() -> Iterator[dict[str, Any]]:
    """The names of a notebook in which a cell was run."""
    main = sys.modules["__main__"]
    before = dict(vars(main))
    linecache.cache["/nowhere/123.py"] = (len(CELL), None, CELL.splitlines(True), "/nowhere/123.py")
    exec(compile(CELL, "/nowhere/123.py", "exec"), vars(main))
    names = dict(vars(main))
    yield names
    vars(main).clear()
    vars(main).update(before)


def test_a_function_of_a_cell_is_run_with_its_lines(
    cell: dict[str, Any], run_script: Callable[..., Trace], tmp_path: Path
) -> None:
    folder = tmp_path / "call"
    folder.mkdir()
    script = write_call(cell["train"], folder)
    trace = run_script(script)
    assert trace.ending is not None
    assert trace.ending.status == "completed", trace.ending.output_tail
    assert trace.steps == 80
    assert len(trace.metrics["val_loss"]) == 8
    assert len(trace.metrics["final_loss"]) == 1
    assert {"fit", "size"} <= set(trace.terms)
    lines = CELL.splitlines()
    source = trace.modules["layers.1"].source or ""
    assert source.startswith("cell.py:")
    assert "BatchNorm1d" in lines[int(source.split(":")[1]) - 1]


def test_what_is_no_callable_and_what_cannot_be_sent() -> None:
    with pytest.raises(UsageError, match="is int: give a function"):
        diagnose(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no such file"):
        diagnose("nothing_here.py")
    with pytest.raises(UsageError, match="no option 'budgett': budget"):
        diagnose(print, budgett=3)
    lock = threading.Lock()
    with pytest.raises(UsageError, match="cannot be sent to another process"):
        diagnose(lambda: lock.acquire())


@pytest.mark.slow
def test_a_function_is_diagnosed(
    cell: dict[str, Any], ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    found = diagnose(cell["train"], metric="val_loss:min", observe=True, slots=1)
    assert found.verdict == "healthy"
    assert found.workload.script == "maker.train"
    assert found.workload.steps == 80
    assert repr(found).startswith("HEALTHY") and "<pre>HEALTHY" in found._repr_html_()

    def fails() -> None:
        raise ValueError("no data")

    with pytest.raises(WorkloadError, match="ValueError: no data"):
        diagnose(fails, observe=True, slots=1)


@pytest.mark.slow
def test_in_a_notebook(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    ask = "from agent import diagnose\nfound = diagnose(train, observe=True, slots=1)\nfound"
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": s}
        for s in (CELL, ask)
    ]
    notebook = tmp_path / "notebook.ipynb"
    notebook.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    )
    program = textwrap.dedent("""
        import nbformat, nbclient
        notebook = nbformat.read("notebook.ipynb", 4)
        nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
        (answer,) = [o for o in notebook.cells[1].outputs if o.output_type == "execute_result"]
        assert answer.data["text/plain"].startswith("HEALTHY"), answer
        assert "text/html" in answer.data
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "AGENT_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
