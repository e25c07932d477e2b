from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from remedies import remedies

HEAD = """\
import torch
from torch import nn

model = nn.Linear(2, 1)
steps = 0

def optimize():
    global optimizer
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

def step():
    global steps
    steps += 1
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()

def epoch(size=4):
    for _ in range(size):
        step()

def batches(count):
    for number in range(count):
        yield number

optimize()
"""


@pytest.fixture
def longer(run_script, tmp_path: Path):
    """Runs a script and gives its trace, with twice the training unless told otherwise."""

    def run(text: str, factor: float | None = 2.0):
        script = tmp_path / "project" / "train.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(HEAD + textwrap.dedent(text))
        action = remedies["R302"].default("").model_copy(update={"params": {"factor": factor}})
        trace = run_script(script, treatment=(action,) if factor else ())
        assert trace.ending is not None and trace.ending.status == "completed", trace.ending
        return trace

    return run


LOOPS = {
    "nested": ("for e in range(3):\n    for b in range(4):\n        step()", 24),
    "calls": ("for e in range(1, 4):\n    epoch()", 24),
    "in a function": ("def main():\n    for e in range(3):\n        epoch()\nmain()", 24),
    "wrapped": ("for i, (e, x) in enumerate(zip(range(3), 'abcdefgh')):\n    epoch()", 24),
    "one line": ("for e in range(3): epoch()", 24),
    "comprehension": ("_ = [epoch() for e in range(3)]", 24),
    "generator": ("for b in batches(3):\n    epoch()", 24),
    "stops early": ("for e in range(9):\n    epoch()\n    if e == 2: break", 12),
    "folds": ("for fold in range(2):\n    optimize()\n    for e in range(3):\n        epoch()", 48),
    "two stages": ("for e in range(2):\n    epoch()\nfor e in range(1):\n    epoch()", 24),
    "while": ("n = 0\nwhile n < 3:\n    epoch()\n    n += 1", 12),
    "within another loop": ("for e in 'abc':\n    epoch()", 12),
}


@pytest.mark.slow
@pytest.mark.parametrize(("text", "steps"), LOOPS.values(), ids=LOOPS)
def test_the_loop_that_the_training_runs_in_goes_on(longer, text, steps) -> None:
    trace = longer(f"{text}\nprint('loss', steps)")
    assert trace.metrics["loss"].values == [steps]
    assert bool(trace.applied) == (steps > 12)


@pytest.mark.slow
def test_it_counts_on(longer) -> None:
    trace = longer("for e in range(10, 4, -2):\n    epoch()\n    print('loss', e)", factor=3.0)
    assert trace.metrics["loss"].values == [10, 8, 6, 4, 2, 0, -2, -4, -6]


@pytest.mark.slow
def test_in_all_else_it_is_an_ordinary_range(longer) -> None:
    longer(
        """\
        import builtins, copy, pickle, random
        from collections.abc import Sequence
        from torch.utils.data import Subset

        r = range(2, 11, 3)
        assert type(r) is range and isinstance(r, range) and isinstance(r, Sequence)
        assert isinstance(builtins.range(3), range) and not isinstance([], range)
        assert (r.start, r.stop, r.step, len(r)) == (2, 11, 3, 3)
        assert r == builtins.range(2, 11, 3) and builtins.range(2, 11, 3) == r and r != [2, 5, 8]
        assert hash(r) == hash(builtins.range(2, 11, 3)) and repr(r) == "range(2, 11, 3)"
        assert list(r) == [*r] == [2, 5, 8] and list(reversed(r)) == [8, 5, 2] and sum(r) == 15
        assert r[0] == 2 and r[-1] == 8 and list(r[1:]) == [5, 8] and type(r[1:]) is range
        assert 5 in r and 6 not in r and r.index(8) == 2 and r.count(5) == 1 and not range(0)
        assert type(pickle.loads(pickle.dumps(r))) is builtins.range and copy.copy(r) == r
        assert torch.tensor(r).tolist() == [2, 5, 8] and torch.arange(9)[list(r)].sum() == 15
        assert len(random.sample(range(100), 5)) == 5 and max(range(3)) == 2
        assert len(Subset(r, range(2))) == 2 and Subset(r, range(2))[1] == 5
        for e in range(3):
            epoch()
        assert sum(1 for _ in range(5)) == 5
        """
    )


def test_less_than_the_whole_is_refused(treat) -> None:
    action = remedies["R302"].default("").model_copy(update={"params": {"factor": 0.5}})
    with pytest.raises(ValueError, match="at least one"):
        treat(lambda: None, (action,))
