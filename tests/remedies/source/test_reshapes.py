"""The axis of the samples, moved before a reshape."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable


def rewritten(rewrite, facts, code, line=2, axis=1.0):
    trace = facts({})
    trace.feed(
        {
            "event": "signals",
            "step": 1,
            "phase": "train",
            "rows": [(f"train.py:{line}", "samples.axis", axis)],
        }
    )
    return rewrite(f"import torch\n{code}\n", "R817", f"train.py:{line}", trace).splitlines()[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("h = h.view(n, -1)", "h = h.movedim(1, 0).reshape(n, -1)"),
        ("h = torch.reshape(h, (n, 8))", "h = h.movedim(1, 0).reshape((n, 8))"),
        ("f((a + b).reshape([n, 8]))", "f((a + b).movedim(1, 0).reshape([n, 8]))"),
    ],
)
def test_the_axis_is_moved_first(rewrite, facts, before, after) -> None:
    assert rewritten(rewrite, facts, before) == after


@pytest.mark.parametrize("code", ["h = f(h)", "h = h.view(n, -1), g.view(n, -1)"])
def test_other_lines_stay(rewrite, facts, code) -> None:
    with pytest.raises(Unwritable):
        rewritten(rewrite, facts, code)


def test_the_layer_takes_the_samples_first(rewrite, facts) -> None:
    trace = facts({"lstm": ("LSTM", 2)})
    after = rewrite("from torch import nn\nlstm = nn.LSTM(3, 8, 2)\n", "R817", "lstm", trace)
    assert after == "from torch import nn\nlstm = nn.LSTM(3, 8, 2, batch_first=True)\n"


def test_a_softmax_runs_along_the_last_axis(rewrite, facts) -> None:
    trace = facts({})
    rows = [("train.py:2", "samples.compete", 1.0)]
    trace.feed({"event": "signals", "step": 1, "phase": "train", "rows": rows})
    after = rewrite("import torch\nw = torch.softmax(g, dim=0)\n", "R817", "train.py:2", trace)
    assert after == "import torch\nw = torch.softmax(g, dim=-1)\n"
